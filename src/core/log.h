// The error log: levels, one write(2) a line, to stderr or a file that the master opened.
//
// Every process logs through this; a line is at most kMaxLine bytes and leaves in one write, so
// lines of several processes never tear. Not for the hot path: a line that is below the level costs
// one load.
//
// Line format, after nginx's: `2026/11/23 12:00:00.123 [warn] 4711#worker 0: text`.
#ifndef UB_CORE_LOG_H_
#define UB_CORE_LOG_H_

#include <fmt/format.h>

#include <string_view>

namespace ub {

enum class LogLevel : unsigned char { kDebug, kInfo, kNotice, kWarn, kError, kOff };

std::string_view LogLevelName(LogLevel level);

namespace log_internal {
extern LogLevel level;
void WriteLine(LogLevel level, std::string_view text);
}  // namespace log_internal

// Lines below `level` are dropped. Default kInfo.
void SetLogLevel(LogLevel level);
// The descriptor that lines go to (not owned). Default 2. Reopening is dup2 over this descriptor.
void SetLogFd(int fd);
int LogFd();
// What stands behind the pid: "master", "worker 0", "controller". Kept by copy.
void SetLogRole(std::string_view role);

// Control characters in the text are escaped, so no peer can forge a line.
template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (level < log_internal::level) return;
  log_internal::WriteLine(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ub

#endif  // UB_CORE_LOG_H_
