// How long things took: a histogram of log-linear buckets, in two forms.
//
// LatencyWords lies in the shared segment: one writer (a worker, with relaxed stores), read by the
// controller at any time, never zeroed. All zeroes is an empty one, so untouched pages are empty
// histograms and cost nothing. Histogram is a reader's copy: sums of many, from which percentiles
// are taken.
//
// A bucket is at most 1/16 of its value wide and stands for its middle: the error is below 3.2 %
// from 8 µs to 137 s. Longer times count in the last bucket. Recording costs a few nanoseconds.
#ifndef UB_CORE_HISTOGRAM_H_
#define UB_CORE_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace ub {

// Times are counted in units of 512 ns: 16 buckets of one unit, then 16 for each doubling.
inline constexpr uint32_t kHistogramUnitShift = 9;
inline constexpr uint32_t kHistogramSubBuckets = 16;
inline constexpr uint32_t kHistogramDoublings = 24;
inline constexpr uint32_t kHistogramBuckets = kHistogramSubBuckets * (kHistogramDoublings + 1);

// The bucket of a time in nanoseconds.
constexpr uint32_t HistogramBucket(uint64_t ns) {
  const uint64_t units = ns >> kHistogramUnitShift;
  if (units < kHistogramSubBuckets) return static_cast<uint32_t>(units);
  const auto top = static_cast<uint32_t>(std::bit_width(units)) - 5;  // doublings above the 16 units
  const auto bucket = static_cast<uint32_t>(top * kHistogramSubBuckets + (units >> top));
  return std::min(bucket, kHistogramBuckets - 1);
}

// The first nanosecond of a bucket, and that of the one behind it.
constexpr uint64_t HistogramLowerNs(uint32_t bucket) {
  if (bucket < kHistogramSubBuckets) return uint64_t{bucket} << kHistogramUnitShift;
  const uint32_t top = bucket / kHistogramSubBuckets - 1;
  const uint64_t units = uint64_t{bucket % kHistogramSubBuckets + kHistogramSubBuckets} << top;
  return units << kHistogramUnitShift;
}
constexpr uint64_t HistogramUpperNs(uint32_t bucket) { return HistogramLowerNs(bucket + 1); }

// In shared memory. The count is the sum of the buckets: there is no second number to disagree.
struct alignas(64) LatencyWords {
  std::atomic<uint64_t> sum_ns;
  std::atomic<uint64_t> min_ns;  // 0: nothing recorded
  std::atomic<uint64_t> max_ns;
  std::atomic<uint64_t> buckets[kHistogramBuckets];

  // Called by the one writer. `ns` of 0 counts as 1.
  void Record(uint64_t ns) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    ns = std::max<uint64_t>(ns, 1);
    const auto add = [](std::atomic<uint64_t>& word, uint64_t by) {
      word.store(word.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    };
    add(buckets[HistogramBucket(ns)], 1);
    add(sum_ns, ns);
    const uint64_t least = min_ns.load(kRelaxed);
    if (least == 0 || ns < least) min_ns.store(ns, kRelaxed);
    if (ns > max_ns.load(kRelaxed)) max_ns.store(ns, kRelaxed);
  }
};

// A reader's copy; plain numbers, mergeable by addition. 3 KiB.
class Histogram {
 public:
  void Record(uint64_t ns);
  // Adds what stands in shared memory now; a writer may be at work.
  void Add(const LatencyWords& words);
  void Add(const Histogram& other);
  // Takes an earlier state of the same words out again. Minimum and maximum are then known only as
  // well as the buckets are.
  void Subtract(const LatencyWords& earlier);

  uint64_t count() const { return count_; }
  uint64_t bucket(uint32_t index) const { return buckets_[index]; }
  uint64_t sum_ns() const { return sum_ns_; }
  // 0 where nothing was recorded.
  uint64_t min_ns() const { return count_ == 0 ? 0 : min_ns_; }
  uint64_t max_ns() const { return count_ == 0 ? 0 : max_ns_; }
  uint64_t mean_ns() const { return count_ == 0 ? 0 : sum_ns_ / count_; }
  // The time that `fraction` (0 to 1) of all stayed within: the middle of the bucket where it lies,
  // within minimum and maximum. 0 where nothing was recorded.
  uint64_t PercentileNs(double fraction) const;
  // How many took at most `ns`, to the nearest bucket.
  uint64_t CountWithin(uint64_t ns) const;

 private:
  std::array<uint64_t, kHistogramBuckets> buckets_{};
  uint64_t count_ = 0, sum_ns_ = 0, min_ns_ = 0, max_ns_ = 0;
};

}  // namespace ub

#endif  // UB_CORE_HISTOGRAM_H_
