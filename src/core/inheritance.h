// What a starting master finds passed in: by the master whose binary it replaces (listening sockets
// with their places in the ownership table, the shared segment, a link to talk over), or by systemd
// (listening sockets alone).
//
// Called by main() before anything else, and by the older master just before it executes the new
// binary. The environment names one memfd, which lists the rest; the list is text with a line for
// each thing, and lines that are not understood are skipped, so that versions can differ.
#ifndef UB_CORE_INHERITANCE_H_
#define UB_CORE_INHERITANCE_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/listen_sockets.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

struct Inheritance {
  pid_t predecessor = 0;              // the older master; 0: none, this is an ordinary start
  UniqueFd segment;                   // of the older master
  UniqueFd link;                      // to the older master
  std::vector<ListenSocket> sockets;  // of the older master, as it had them
  std::vector<ListenSocket> management;  // of the older master: the management address
  UniqueFd state;                     // of the older master: what was changed at run time
  UniqueFd handover_receive, handover_send;  // of the older master: from workers to the controller
  std::vector<UniqueFd> passed;       // by systemd: listening, address unknown yet

  bool upgrade() const { return predecessor != 0; }
};

// Takes what the environment names and removes the names from it. Descriptors are close-on-exec
// from here on. What is not for this process (another pid is named) is left alone.
Inheritance TakeInheritance();

// The command line to execute for an upgrade: as it was given, the program by its absolute path
// (the file that is there at the time of the upgrade counts, not the one that runs).
std::vector<std::string> UpgradeArguments(std::vector<std::string> arguments);

// The environment's variable that names the list.
inline constexpr char kInheritVariable[] = "ULTRABALANCER_INHERIT";

// Descriptors of which there is one each, with what they are: the names of Inheritance's members.
using NamedFds = std::vector<std::pair<std::string_view, int>>;

// In the older master: a memfd with the list, whose descriptors' numbers are those of this process.
// The caller clears close-on-exec of all of them in the process that executes.
Result<UniqueFd> WriteInheritance(pid_t self, const NamedFds& named,
                                  const std::vector<const ListenSocket*>& sockets,
                                  const std::vector<const ListenSocket*>& management = {});

}  // namespace ub

#endif  // UB_CORE_INHERITANCE_H_
