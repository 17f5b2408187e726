#include "core/log.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/clock.h"

namespace ub {

namespace {

// A line is cut here. Below PIPE_BUF (4096), so that also a pipe to a log collector never tears it.
constexpr size_t kMaxLine = 4000;

int log_fd = 2;
uint64_t lost_lines = 0;  // since the last one that was written
bool torn = false;        // the last one was cut by a full disk: the next begins a new line
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

// One write a line: O_APPEND makes it whole among processes. False where the file did not take it.
bool WriteWhole(const std::string& line) {
  ssize_t written = 0;
  do {
    written = ::write(log_fd, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return true;
  torn = torn || written > 0;
  return false;
}

std::string Prefix(LogLevel level) {
  return fmt::format("{}{} [{}] {}#{}: ", torn ? "\n" : "", LogTime(UnixMs()), LogLevelName(level),
                     getpid(), Role());
}

// A full disk or a closed pipe costs lines and nothing else: said on standard error when it begins,
// and in the log when it is over.
void NoteLost() {
  if (++lost_lines > 1 || log_fd == 2) return;
  const std::string text = fmt::format(
      "ultrabalancer: pid {} cannot write its log: {} (service goes on, lines are lost)\n",
      getpid(), strerror(errno));
  if (::write(2, text.data(), text.size()) < 0) errno = 0;
}

void ReportLost() {
  if (lost_lines == 0) return;
  if (!WriteWhole(Prefix(LogLevel::kError) +
                  fmt::format("{} lines of the log were lost here\n", lost_lines)))
    return;
  lost_lines = 0;
  torn = false;
}

}  // namespace

namespace log_internal {

LogLevel level = LogLevel::kInfo;

void WriteLine(LogLevel line_level, std::string_view text) {
  const int saved_errno = errno;
  ReportLost();
  std::string line = Prefix(line_level);
  AppendEscaped(text, &line);
  line.push_back('\n');
  if (WriteWhole(line)) {
    torn = false;
  } else {
    NoteLost();
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
