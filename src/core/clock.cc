#include "core/clock.h"

#include <fmt/format.h>

namespace ub {

uint64_t UnixMs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000u +
         static_cast<uint64_t>(now.tv_nsec) / 1'000'000u;
}

std::string LogTime(uint64_t unix_ms) {
  static time_t cached_second = -1;
  static std::string cached_text;
  const time_t second = static_cast<time_t>(unix_ms / 1000);
  if (second != cached_second) {
    tm parts{};
    localtime_r(&second, &parts);
    cached_text =
        fmt::format("{:04}/{:02}/{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                    parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    cached_second = second;
  }
  return fmt::format("{}.{:03}", cached_text, unix_ms % 1000);
}

std::string_view HttpDate() {
  static time_t cached_second = -1;
  static char text[32];
  static size_t size = 0;
  const time_t second = time(nullptr);
  if (second != cached_second) {
    tm parts{};
    gmtime_r(&second, &parts);
    size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    cached_second = second;
  }
  return {text, size};
}

}  // namespace ub
