// How the last reload went, in a file beside the pid file: written by the master, read by `-s
// reload`, which is another process and learns the outcome there. Replaced by rename, so it is
// never read half-written.
#ifndef UB_CORE_RELOAD_STATUS_H_
#define UB_CORE_RELOAD_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"

namespace ub {

struct ReloadStatus {
  pid_t pid = 0;          // the master that wrote it
  uint64_t sequence = 0;  // reloads begun by it; grows before the configuration is read
  bool done = true;       // false: reload `sequence` is under way
  bool ok = true;
  uint64_t generation = 0;  // the configuration in force
  std::vector<std::string> errors;
  std::vector<std::string> warnings;  // what a good one says all the same
};

// PIDFILE.status
std::string ReloadStatusPath(const std::string& pid_file);
Status WriteReloadStatus(const std::string& path, const ReloadStatus& status);
Result<ReloadStatus> ReadReloadStatus(const std::string& path);

}  // namespace ub

#endif  // UB_CORE_RELOAD_STATUS_H_
