// Going into the background: the command returns when the daemon serves, or with its failure.
//
// Master only, before anything else is opened. The parent waits on a pipe for the daemon's word and
// leaves with it.
#ifndef UB_CORE_DAEMON_H_
#define UB_CORE_DAEMON_H_

#include <optional>

#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

class Daemon {
 public:
  // Forks. In the parent, which stays until the daemon serves or failed: its exit status. In the
  // daemon: nullopt.
  Result<std::optional<int>> Begin();
  // In the daemon: it serves. Standard input, output and error go to /dev/null, the parent leaves
  // with 0. Without this call the parent leaves with 1 when the daemon ends.
  void Ready();
  // In the daemon's children: lets go of the pipe.
  void Abandon() { pipe_.Reset(); }

 private:
  UniqueFd pipe_;
};

// Puts /dev/null over standard input, output and error: a daemon's children must not hold the
// terminal, or the pipe of a script that waits for its end.
void DetachStandardStreams();

}  // namespace ub

#endif  // UB_CORE_DAEMON_H_
