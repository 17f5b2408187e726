#include "core/log.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/clock.h"

namespace ub {

namespace {

// A line is cut here. Below PIPE_BUF (4096), so that also a pipe to a log collector never tears it.
constexpr size_t kMaxLine = 4000;

int log_fd = 2;
std::string& Role() {
  static std::string role = "main";
  return role;
}

void AppendEscaped(std::string_view text, std::string* line) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (line->size() + 8 > kMaxLine) {
      *line += "...";
      return;
    }
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(*line), "\\x{:02x}", byte);
    } else {
      line->push_back(c);
    }
  }
}

}  // namespace

namespace log_internal {

LogLevel level = LogLevel::kInfo;

void WriteLine(LogLevel line_level, std::string_view text) {
  std::string line =
      fmt::format("{} [{}] {}#{}: ", LogTime(UnixMs()), LogLevelName(line_level), getpid(), Role());
  AppendEscaped(text, &line);
  line.push_back('\n');
  // One write a line: O_APPEND makes it whole among processes. A full disk or a closed pipe loses
  // the line and nothing else: there is nobody left to tell.
  const int saved_errno = errno;
  while (::write(log_fd, line.data(), line.size()) < 0 && errno == EINTR) {
  }
  errno = saved_errno;
}

}  // namespace log_internal

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kNotice:
      return "notice";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      return "off";
  }
  return "unknown";
}

void SetLogLevel(LogLevel level) { log_internal::level = level; }
void SetLogFd(int fd) { log_fd = fd; }
int LogFd() { return log_fd; }
void SetLogRole(std::string_view role) { Role() = role; }

}  // namespace ub
