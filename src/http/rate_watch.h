// The least speed at which a peer must send (limits.min_rate_bytes): each byte buys it time, and it may save up only so much.
//
// A token bucket of time. A peer begins with `grace` of credit, spends it as time passes, earns 1/rate seconds a byte, and
// never holds more than `grace`: fast bytes of long ago do not pay for trickling now. One object a connection, asked
// once a read; worker process; pure arithmetic.
#ifndef UB_HTTP_RATE_WATCH_H_
#define UB_HTTP_RATE_WATCH_H_

#include <algorithm>
#include <cstdint>

namespace ub {

class RateWatch {
 public:
  // No client is judged by less time than this, unless its whole time-out is shorter.
  static constexpr uint64_t kGraceNs = 5'000'000'000;

  // From `now` on, for a peer whose time-out is `timeout_ns`.
  void Begin(uint64_t now_ns, uint64_t timeout_ns) {
    grace_ns_ = std::min(kGraceNs, timeout_ns);
    deadline_ns_ = now_ns + grace_ns_;
  }
  // `bytes` came; `rate` is in bytes a second, not 0.
  void Got(uint64_t bytes, uint64_t rate, uint64_t now_ns) {
    // More than the grace is worth counts as no more, so that the product below does not overflow.
    const uint64_t counted = std::min(bytes, kGraceNs / kNsPerSecond * rate + 1);
    deadline_ns_ = std::min(deadline_ns_ + counted * kNsPerSecond / rate, now_ns + grace_ns_);
  }
  // The same, and until when more must come: `limit_ns`, or before that where `rate` (0: none is asked for) says so.
  uint64_t Await(uint64_t bytes, uint64_t rate, uint64_t now_ns, uint64_t limit_ns) {
    if (rate == 0) return limit_ns;
    Got(bytes, rate, now_ns);
    return std::min(limit_ns, deadline_ns_);
  }
  // When the credit is used up, should nothing more come.
  uint64_t deadline_ns() const { return deadline_ns_; }

 private:
  static constexpr uint64_t kNsPerSecond = 1'000'000'000;
  uint64_t grace_ns_ = 0;
  uint64_t deadline_ns_ = 0;
};

}  // namespace ub

#endif  // UB_HTTP_RATE_WATCH_H_
