// How many cheap frames (http2_codec.h) one connection may send: a count of each kind within an interval.
//
// Floods of them cost the sender next to nothing, and whoever answers them work or memory: rapid reset (CVE-2023-44487) and
// its older kin of PINGs, SETTINGS, PRIORITYs and empty frames (CVE-2019-9511 to 9518). One object a connection; pure
// arithmetic; worker process.
#ifndef UB_HTTP_HTTP2_WATCH_H_
#define UB_HTTP_HTTP2_WATCH_H_

#include <array>
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/config_http2.h"
#include "http/http2_codec.h"

namespace ub {

// As metrics name them, in the order of Http2Cheap.
inline constexpr std::array<std::string_view, static_cast<size_t>(Http2Cheap::kCount)> kHttp2CheapNames = {
    "reset", "ping", "settings", "priority", "empty_frame", "window_update", "continuation", "header_list"};

class Http2Watch {
 public:
  // One more came. False: it is too many.
  bool Allow(Http2Cheap kind, const Http2Config& config, uint64_t now_ns) {
    if (now_ns - since_ns_ >= uint64_t{config.interval_ms} * 1'000'000) {
      counts_ = {};
      paid_ = frames_ = resets_ = 0;
      since_ns_ = now_ns;
    }
    const uint64_t count = ++counts_[static_cast<size_t>(kind)];
    switch (kind) {
      case Http2Cheap::kReset: return count <= config.max_resets + resets_;
      case Http2Cheap::kPing: return count <= config.max_pings + frames_;
      case Http2Cheap::kSettings: return count <= config.max_settings;
      case Http2Cheap::kPriority: return count <= config.max_priorities;
      case Http2Cheap::kEmpty: return count <= config.max_empty_frames;
      case Http2Cheap::kWindowUpdate: return count <= config.max_window_updates + paid_ / kBytesAnUpdate;
      default: return false;
    }
  }
  // A frame of a body went out: it gives cause for a PING (gRPC's libraries measure the path by one for each such frame) and for
  // updates of both windows. `all`: nothing of the stream waits any more, so that it is no small window that cut it.
  void Sent(uint64_t bytes, bool all) {
    paid_ += all ? std::max(bytes, 2 * kBytesAnUpdate) : bytes;
    ++frames_;
  }
  // We reset a stream: the far side's own reset may be on its way.
  void Reset() { ++resets_; }

 private:
  static constexpr uint64_t kBytesAnUpdate = 1024;  // who opens windows for less than that at a time dribbles
  uint64_t since_ns_ = 0;
  uint64_t paid_ = 0, frames_ = 0, resets_ = 0;
  std::array<uint32_t, static_cast<size_t>(Http2Cheap::kCount)> counts_{};
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_WATCH_H_
