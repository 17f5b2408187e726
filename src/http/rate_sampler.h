// Requests a second over the last second, ten seconds and minute: remembers the total four times a
// second. Controller process.
#ifndef UB_HTTP_RATE_SAMPLER_H_
#define UB_HTTP_RATE_SAMPLER_H_

#include <array>
#include <cstdint>

#include "http/metrics_snapshot.h"

namespace ub {

class RateSampler {
 public:
  static constexpr uint64_t kIntervalNs = 250'000'000;

  // The total as it is at `now_ns`.
  void Sample(uint64_t now_ns, uint64_t total);
  // Over each span, or over what is known where that is shorter.
  RequestRates Rates(uint64_t now_ns, uint64_t total) const;

 private:
  struct Point {
    uint64_t at_ns = 0, total = 0;
  };
  double Over(uint64_t span_ns, uint64_t now_ns, uint64_t total) const;

  std::array<Point, 256> points_{};  // 64 seconds
  uint32_t count_ = 0;               // ever taken
};

}  // namespace ub

#endif  // UB_HTTP_RATE_SAMPLER_H_
