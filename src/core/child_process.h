// What a child is given at its fork, and the seam through which main.cc gives the master its
// children's bodies: core knows no event loop and no HTTP.
#ifndef UB_CORE_CHILD_PROCESS_H_
#define UB_CORE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "core/channel.h"
#include "core/config.h"
#include "core/listen_sockets.h"
#include "core/shm_segment.h"

namespace ub {

// Lives in the child for its whole life. The child owns its copies of everything here.
struct ChildContext {
  ChildKind kind = ChildKind::kNone;
  uint32_t worker_id = 0;  // 0 … N-1; 0 for the controller
  uint32_t row = 0;        // its row in the segment
  Channel channel;         // to the master
  ShmSegment* shm = nullptr;
  std::shared_ptr<const Config> config;
  uint64_t generation = 0;  // of `config`
  ListenSockets* sockets =
      nullptr;             // inherited; a worker closes what it is told to. The controller gets the management address's
  int handover_fd = -1;       // worker: sends clients of management paths; controller: receives them
  int runtime_state_fd = -1;  // controller: what the one before had been told to change; -1: nothing
  pid_t peer_master = 0;      // as kPeerMaster
  int access_log_fd = -1;  // opened by the master; kReopen brings another; -1: off
};

// Body of a child; its result is the exit status. Runs after privileges were dropped, signals set
// and the title written.
using ChildMain = int (*)(ChildContext&);

struct Identity;  // core/privileges.h

struct ChildMains {
  ChildMain worker = nullptr;
  ChildMain controller = nullptr;
};

// Forks one child, used by the master alone. `before` runs first in the child and closes what is
// the master's; then signals are reset, privileges dropped, title and log role set, and the body
// runs. Never returns there.
Result<pid_t> ForkChild(ChildContext context, const ChildMains& mains, const Identity& identity,
                        const std::function<void()>& before);

}  // namespace ub

#endif  // UB_CORE_CHILD_PROCESS_H_
