#include "http/rate_sampler.h"

#include <algorithm>

namespace ub {

void RateSampler::Sample(uint64_t now_ns, uint64_t total) {
  points_[count_ % points_.size()] = {now_ns, total};
  ++count_;
}

// The youngest sample that is at least `span_ns` old, else the oldest there is.
double RateSampler::Over(uint64_t span_ns, uint64_t now_ns, uint64_t total) const {
  const auto known = std::min<uint32_t>(count_, static_cast<uint32_t>(points_.size()));
  const Point* from = nullptr;
  for (uint32_t back = 1; back <= known; ++back) {
    from = &points_[(count_ - back) % points_.size()];
    if (now_ns - from->at_ns >= span_ns) break;
  }
  if (from == nullptr || now_ns <= from->at_ns || total < from->total) return 0;
  return static_cast<double>(total - from->total) * 1e9 / static_cast<double>(now_ns - from->at_ns);
}

RequestRates RateSampler::Rates(uint64_t now_ns, uint64_t total) const {
  constexpr uint64_t kSecond = 1'000'000'000;
  return {Over(kSecond, now_ns, total), Over(10 * kSecond, now_ns, total), Over(60 * kSecond, now_ns, total)};
}

}  // namespace ub
