// The pid file: tells `-s SIGNAL` and scripts who the master is, and keeps a second instance off by
// a lock.
//
// Master only. The lock is fcntl's, which belongs to the process: children do not inherit it, so it
// goes exactly when the master goes, however it dies. A lock of flock would live on in the
// children.
#ifndef UB_CORE_PID_FILE_H_
#define UB_CORE_PID_FILE_H_

#include <sys/types.h>

#include <string>

#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

class PidFile {
 public:
  PidFile() = default;
  PidFile(PidFile&&) = default;
  PidFile& operator=(PidFile&&) = default;

  // Locks and writes it. Error kExists: another master holds it (its pid is in the text).
  // Call in the process that stays: the lock does not survive a fork.
  static Result<PidFile> Create(const std::string& path);

  bool held() const { return fd_.valid(); }
  const std::string& path() const { return path_; }
  // Renames it, the lock goes along; what has the new name is replaced.
  Status MoveTo(const std::string& path);
  // Unlinks and unlocks it.
  void Remove();
  // In a child: forgets it without unlinking.
  void Abandon();

 private:
  std::string path_;
  UniqueFd fd_;
};

// The master that holds the pid file's lock. Errors: kNotFound where there is no file or nobody
// holds it.
Result<pid_t> ReadPidFile(const std::string& path);

}  // namespace ub

#endif  // UB_CORE_PID_FILE_H_
