#include "core/histogram.h"

#include <cmath>

namespace ub {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr uint64_t MiddleNs(uint32_t bucket) {
  return (HistogramLowerNs(bucket) + HistogramUpperNs(bucket)) / 2;
}

uint64_t Minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

void Histogram::Record(uint64_t ns) {
  ns = std::max<uint64_t>(ns, 1);
  ++buckets_[HistogramBucket(ns)];
  min_ns_ = count_ == 0 ? ns : std::min(min_ns_, ns);
  max_ns_ = std::max(max_ns_, ns);
  ++count_;
  sum_ns_ += ns;
}

void Histogram::Add(const LatencyWords& words) {
  uint64_t added = 0;
  for (uint32_t i = 0; i < kHistogramBuckets; ++i) {
    const uint64_t n = words.buckets[i].load(kRelaxed);
    buckets_[i] += n;
    added += n;
  }
  if (added == 0) return;
  const uint64_t least = words.min_ns.load(kRelaxed);
  // 0: its first record is being written at this moment.
  if (least != 0) min_ns_ = min_ns_ == 0 ? least : std::min(min_ns_, least);
  max_ns_ = std::max(max_ns_, words.max_ns.load(kRelaxed));
  sum_ns_ += words.sum_ns.load(kRelaxed);
  count_ += added;
}

void Histogram::Add(const Histogram& other) {
  if (other.count_ == 0) return;
  for (uint32_t i = 0; i < kHistogramBuckets; ++i) buckets_[i] += other.buckets_[i];
  min_ns_ = count_ == 0 ? other.min_ns_ : std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
  count_ += other.count_;
}

void Histogram::Subtract(const LatencyWords& earlier) {
  count_ = 0;
  uint32_t first = kHistogramBuckets, last = 0;
  for (uint32_t i = 0; i < kHistogramBuckets; ++i) {
    buckets_[i] = Minus(buckets_[i], earlier.buckets[i].load(kRelaxed));
    if (buckets_[i] == 0) continue;
    count_ += buckets_[i];
    first = std::min(first, i);
    last = i;
  }
  sum_ns_ = Minus(sum_ns_, earlier.sum_ns.load(kRelaxed));
  if (count_ == 0) return;
  min_ns_ = std::max(min_ns_, std::max<uint64_t>(HistogramLowerNs(first), 1));
  max_ns_ = std::min(max_ns_, HistogramUpperNs(last) - 1);
}

uint64_t Histogram::PercentileNs(double fraction) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  const uint64_t rank = std::clamp<uint64_t>(wanted, 1, count_);
  uint64_t seen = 0;
  uint32_t bucket = 0;
  while (bucket + 1 < kHistogramBuckets && (seen += buckets_[bucket]) < rank) ++bucket;
  // The last bucket has no end of its own: what is known of it is the longest time.
  const uint64_t middle = bucket + 1 == kHistogramBuckets ? max_ns_ : MiddleNs(bucket);
  return std::clamp(middle, min_ns_, std::max(min_ns_, max_ns_));
}

uint64_t Histogram::CountWithin(uint64_t ns) const {
  uint64_t n = 0;
  for (uint32_t i = 0; i + 1 < kHistogramBuckets && MiddleNs(i) <= ns; ++i) n += buckets_[i];
  return n;
}

}  // namespace ub
