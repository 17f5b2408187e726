// What both ends of HTTP/2 go by, Http2Server and Http2Client: how much is read and written at a time, and how large a head is.
#ifndef UB_HTTP_HTTP2_LIMITS_H_
#define UB_HTTP_HTTP2_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace ub {

inline constexpr size_t kHttp2ReadBytes = 64 * 1024;
inline constexpr size_t kHttp2BatchBytes = 48 * 1024;  // a frame may come on top, and then it still fits a buffer of 68 KiB
inline constexpr int kHttp2MaxRounds = 4;              // reads or writes before other connections get their turn
inline constexpr size_t kHttp2MaxQueued = 1000;  // answers that wait for a peer that does not read, before we stop reading
inline constexpr uint32_t kHttp2FieldOverhead = 32;  // RFC 9113 section 6.5.2
inline constexpr uint64_t kHttp2ListSlack = 4;       // a head so many times too large is no mistake

}  // namespace ub

#endif  // UB_HTTP_HTTP2_LIMITS_H_
