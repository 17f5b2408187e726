// What is logged while this lives, for tests of "each change is logged once with its reason".
#ifndef UB_T_UNIT_UPSTREAM_LOG_CAPTURE_H_
#define UB_T_UNIT_UPSTREAM_LOG_CAPTURE_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "core/log.h"
#include "core/unique_fd.h"

namespace ub {

class LogCapture {
 public:
  LogCapture() : fd_(memfd_create("log", MFD_CLOEXEC)), before_(LogFd()) {
    fcntl(fd_.get(), F_SETFL, O_APPEND);
    SetLogFd(fd_.get());
    SetLogLevel(LogLevel::kInfo);
  }
  ~LogCapture() {
    SetLogFd(before_);
    SetLogLevel(LogLevel::kOff);
  }
  std::string Text() const {
    std::string text(static_cast<size_t>(lseek(fd_.get(), 0, SEEK_END)), '\0');
    const ssize_t got = pread(fd_.get(), text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }
  // Lines that hold `part`.
  size_t Count(std::string_view part) const {
    size_t count = 0;
    const std::string text = Text();
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
      ++count;
      at = text.find('\n', at);
      if (at == std::string::npos) break;
    }
    return count;
  }

 private:
  UniqueFd fd_;
  int before_;
};

}  // namespace ub

#endif  // UB_T_UNIT_UPSTREAM_LOG_CAPTURE_H_
