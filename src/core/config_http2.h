// HTTP/2 with clients, as configured: what one connection may hold, and how many frames of a kind it may send in an interval.
//
// A part of core/config.h, which everybody includes; the same rules hold.
#ifndef UB_CORE_CONFIG_HTTP2_H_
#define UB_CORE_CONFIG_HTTP2_H_

#include <cstdint>

namespace ub {

struct Http2Config {
  bool enabled = true;
  uint32_t max_concurrent_streams = 128;
  uint64_t initial_window_bytes = 256 * 1024;      // of request bodies: a stream
  uint64_t connection_window_bytes = 1024 * 1024;  // all streams of a connection
  uint64_t buffer_bytes = 1024 * 1024;             // of response bodies, a connection
  uint64_t header_list_bytes = 64 * 1024;          // names, values and 32 bytes a field
  uint32_t max_continuations = 8;                  // in a head
  uint32_t interval_ms = 10000;
  uint32_t max_resets = 400;
  uint32_t max_pings = 1000;
  uint32_t max_settings = 100;
  uint32_t max_priorities = 2000;
  uint32_t max_empty_frames = 100;
  uint32_t max_window_updates = 2000;  // beyond one for each KiB that was sent
  bool operator==(const Http2Config&) const = default;
};

}  // namespace ub

#endif  // UB_CORE_CONFIG_HTTP2_H_
