// What the master knows of one child, of the place that it fills, and of sockets on their way out.
//
// Master only; plain records that src/core/master*.cc work on. A child is in the master's list from
// just before its fork until waitpid has told its end.
#ifndef UB_CORE_MASTER_CHILD_H_
#define UB_CORE_MASTER_CHILD_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/child_process.h"
#include "core/outbox.h"

namespace ub {

struct MasterChild {
  pid_t pid = 0;
  ChildKind kind = ChildKind::kNone;
  uint32_t worker_id = 0, row = kNoRow;
  Channel channel;
  Outbox outbox;
  uint64_t started_ms = 0;
  uint64_t kill_at_ms = 0;   // 0: no deadline
  uint64_t retry_at_ms = 0;  // its socket says writable and takes nothing: not before then
  uint64_t acked = 0;        // configuration generation that it works by
  std::string refusal;       // why it refused the newest one
  bool ready = false, draining = false;
  bool stopped = false;  // by SIGSTOP or a debugger: its sockets are lent to the others
  uint64_t resumed = 0;  // generation with which it was called back and has not yet said that it
                         // serves; 0: it was not
};

// A place that a child should fill, and how often it died there lately.
struct MasterSeat {
  uint32_t deaths = 0;
  uint64_t due_ms = 0;
};

// Sockets of an address that is configured no more. First they refuse new connections while their
// queues are emptied; then the workers let go of them; then they stop listening, whoever still
// holds a copy.
struct RetiringSockets {
  std::string address;
  std::vector<ListenSocket> sockets;
  uint64_t due_ms;      // of the next step
  bool let_go = false;  // the workers were told
  bool unheard = false;  // all of them are stopped and have not heard it
};

// "was killed by signal 9 (SIGKILL)", "left with status 1".
std::string HowItDied(int wait_status);

// The other master during an upgrade of the binary: the one that we started, or that started us.
enum class PeerRole : uint8_t { kNone, kSuccessor, kPredecessor };
struct MasterPeer {
  PeerRole role = PeerRole::kNone;
  pid_t pid = 0;
  UniqueFd link;         // a stream of single letters, see master_upgrade.cc
  bool ready = false;    // a successor: it waits for our controller to leave, or serves
  bool told_go = false;  // and was told that it has left
};

}  // namespace ub

#endif  // UB_CORE_MASTER_CHILD_H_
