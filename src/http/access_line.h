// One line of the access log, from what is known of a request at its end.
//
// Pure functions into memory of the caller; nothing is allocated. What a client sent is escaped, so
// that it cannot forge a line or break a field. Worker process, once a request where the log is on;
// about 200 ns.
#ifndef UB_HTTP_ACCESS_LINE_H_
#define UB_HTTP_ACCESS_LINE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/request_stage.h"

namespace ub {

enum class AccessFormat : uint8_t { kCombined, kJson };

// What a client that left before its answer is logged as.
inline constexpr uint16_t kStatusClientLeft = 499;

struct AccessEntry {
  static constexpr uint64_t kNone = UINT64_MAX;  // of a time: it did not come to that

  uint64_t unix_ms = 0;  // when the request ended
  std::string_view request_id, client;
  // Of the request line; all empty where there was none. `first_line` in their place: a request
  // that could not be understood.
  std::string_view method, target, first_line;
  uint8_t minor_version = 1;  // RequestHead's
  std::string_view referer, user_agent;
  uint16_t status = 0;
  uint64_t bytes_received = 0, bytes_sent = 0;  // of bodies
  std::string_view backend;                     // the last that was tried; empty: none
  uint32_t tries = 0;
  uint64_t connect_ns = kNone;     // of the last try; kNone: a kept connection, or none stood
  uint64_t first_byte_ns = kNone;  // from the request's head to the response's
  uint64_t total_ns = 0;           // from the request's head to the end
  RateVerdict rate_limit = RateVerdict::kNone;
  bool complete = true;  // the client got the whole response
};

// The least that `room` may be: what a line takes whose texts are empty.
inline constexpr size_t kAccessLineFixed = 1024;

// Writes the line with its newline; its bytes, at most `room`. Texts that are too long end in
// "...".
//   combined: CLIENT - - [25/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 612 "REFERER" "USER
//   AGENT" json: an object with the names of AccessEntry's members, times in milliseconds
size_t FormatAccessLine(const AccessEntry& entry, AccessFormat format, char* out, size_t room);

}  // namespace ub

#endif  // UB_HTTP_ACCESS_LINE_H_
