// The log files: opened by the master, which keeps its rights, and passed to the children, which
// have none.
//
// Reopening puts the new file over the same descriptor (dup2), so that whoever holds its number
// goes on writing and no line is lost in between.
#ifndef UB_CORE_LOG_FILES_H_
#define UB_CORE_LOG_FILES_H_

#include "core/channel.h"
#include "core/config.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

class LogFiles {
 public:
  // Opens what the configuration names; `stderr` and `stdout` are duplicated. Error: names the
  // file.
  static Result<LogFiles> Open(const LoggingConfig& logging);

  // Puts `fresh` in force in the place of these, and makes the error log the one that Log() writes
  // to.
  void Replace(LogFiles fresh);

  int error_fd() const { return error_.get(); }
  int access_fd() const { return access_.get(); }  // -1: off
  // A kReopen message with copies of both.
  Result<Message> ReopenMessage() const;

 private:
  UniqueFd error_, access_;
};

// In a child: puts what a kReopen message brought over LogFd() and `*access_log_fd` (which may be
// -1 before).
void TakeReopenedLogs(Message message, int* access_log_fd);

}  // namespace ub

#endif  // UB_CORE_LOG_FILES_H_
