// Clocks: monotonic time for every deadline, wall-clock text for people.
//
// Any process. MonotonicNs costs one vDSO call (about 20 ns); an event loop reads it once a turn.
#ifndef UB_CORE_CLOCK_H_
#define UB_CORE_CLOCK_H_

#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ub {

inline uint64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

constexpr uint64_t MsToNs(uint64_t ms) { return ms * 1'000'000; }
inline uint64_t MonotonicMs() { return MonotonicNs() / 1'000'000u; }

// Milliseconds since 1970, for what is shown to people or kept in a file; never for a deadline.
uint64_t UnixMs();

// "2026/11/23 12:00:00.123" in local time, for the error log. The part up to the second is cached:
// the time zone's rules are consulted once a second at most. Not thread-safe: of a process only the main
// thread logs.
std::string LogTime(uint64_t unix_ms);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7): now. Made once a second; good until the next call. Not
// thread-safe, as above.
std::string_view HttpDate();

}  // namespace ub

#endif  // UB_CORE_CLOCK_H_
