#include "core/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "core/random.h"

namespace ub {
namespace {

constexpr uint64_t kMicro = 1'000, kMilli = 1'000'000, kSecond = 1'000'000'000;

TEST(HistogramTest, BucketsMeetWithoutGapOrOverlap) {
  for (uint32_t b = 0; b + 1 < kHistogramBuckets; ++b) {
    ASSERT_LT(HistogramLowerNs(b), HistogramUpperNs(b)) << b;
    ASSERT_EQ(HistogramBucket(HistogramLowerNs(b)), b);
    ASSERT_EQ(HistogramBucket(HistogramUpperNs(b) - 1), b);
  }
  EXPECT_EQ(HistogramBucket(UINT64_MAX), kHistogramBuckets - 1);
  EXPECT_EQ(HistogramBucket(1000 * kSecond), kHistogramBuckets - 1);
}

TEST(HistogramTest, ABucketsMiddleIsWithinFivePercentOfEachOfItsTimes) {
  for (uint32_t b = HistogramBucket(10 * kMicro); b <= HistogramBucket(100 * kSecond); ++b) {
    const double lower = std::max<double>(10 * kMicro, static_cast<double>(HistogramLowerNs(b)));
    const auto upper = static_cast<double>(HistogramUpperNs(b));
    const double middle = (static_cast<double>(HistogramLowerNs(b)) + upper) / 2;
    ASSERT_LE(std::abs(middle - lower) / lower, 0.05) << b;
    ASSERT_LE(std::abs(upper - middle) / upper, 0.05) << b;
  }
}

// Response times as a balancer sees them: most in one place with a long tail, a second group from a
// slow backend, and a few timeouts.
std::vector<uint64_t> RecordedSample() {
  Random random(20240607);
  std::vector<uint64_t> sample;
  for (int i = 0; i < 200'000; ++i) {
    const double u = std::max(random.Unit(), 1e-9), v = random.Unit();
    const double normal = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
    double ns = std::exp(std::log(800.0 * kMicro) + 0.9 * normal);
    if (i % 20 == 0) ns += 40.0 * kMilli * (1 + random.Unit());
    if (i % 2000 == 0) ns = 30.0 * kSecond + random.Unit() * kSecond;
    sample.push_back(std::max<uint64_t>(static_cast<uint64_t>(ns), 10 * kMicro));
  }
  return sample;
}

void ExpectPercentilesOf(std::vector<uint64_t> sample, const Histogram& histogram) {
  std::sort(sample.begin(), sample.end());
  for (const double fraction : {0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(sample.size())));
    const auto exact = static_cast<double>(sample[rank - 1]);
    const auto ours = static_cast<double>(histogram.PercentileNs(fraction));
    EXPECT_LE(std::abs(ours - exact) / exact, 0.05) << fraction << ": " << ours << " for " << exact;
  }
}

TEST(HistogramTest, PercentilesOfARecordedSampleAreWithinFivePercent) {
  const std::vector<uint64_t> sample = RecordedSample();
  auto words = std::make_unique<LatencyWords>();
  uint64_t sum = 0;
  for (const uint64_t ns : sample) {
    words->Record(ns);
    sum += ns;
  }
  Histogram histogram;
  histogram.Add(*words);
  ExpectPercentilesOf(sample, histogram);
  EXPECT_EQ(histogram.count(), sample.size());
  EXPECT_EQ(histogram.sum_ns(), sum);
  EXPECT_EQ(histogram.mean_ns(), sum / sample.size());
  EXPECT_EQ(histogram.min_ns(), *std::min_element(sample.begin(), sample.end()));
  EXPECT_EQ(histogram.max_ns(), *std::max_element(sample.begin(), sample.end()));
}

TEST(HistogramTest, MergedPartsAreTheWhole) {
  const std::vector<uint64_t> sample = RecordedSample();
  auto parts = std::make_unique<LatencyWords[]>(3);
  Histogram whole;
  for (size_t i = 0; i < sample.size(); ++i) {
    parts[i % 3].Record(sample[i]);
    whole.Record(sample[i]);
  }
  Histogram merged, first;
  merged.Add(parts[0]);
  first.Add(parts[1]);
  first.Add(parts[2]);
  merged.Add(first);
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_EQ(merged.sum_ns(), whole.sum_ns());
  EXPECT_EQ(merged.min_ns(), whole.min_ns());
  EXPECT_EQ(merged.max_ns(), whole.max_ns());
  for (const double fraction : {0.5, 0.9, 0.99}) {
    EXPECT_EQ(merged.PercentileNs(fraction), whole.PercentileNs(fraction));
  }
}

TEST(HistogramTest, WhatEarlierTenantsRecordedIsTakenOff) {
  auto words = std::make_unique<LatencyWords>(), earlier = std::make_unique<LatencyWords>();
  for (int i = 0; i < 100; ++i) {
    words->Record(5 * kSecond);
    earlier->Record(5 * kSecond);
  }
  for (int i = 0; i < 10; ++i) words->Record(2 * kMilli);
  Histogram histogram;
  histogram.Add(*words);
  histogram.Subtract(*earlier);
  EXPECT_EQ(histogram.count(), 10u);
  EXPECT_EQ(histogram.sum_ns(), 20 * kMilli);
  EXPECT_NEAR(static_cast<double>(histogram.PercentileNs(0.99)), 2e6, 1e5);
  EXPECT_NEAR(static_cast<double>(histogram.max_ns()), 2e6, 2e5);
  histogram.Subtract(*words);
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.PercentileNs(0.5), 0u);
}

TEST(HistogramTest, EmptyAndExtremeTimes) {
  Histogram histogram;
  EXPECT_EQ(histogram.PercentileNs(0.5), 0u);
  EXPECT_EQ(histogram.min_ns(), 0u);
  auto words = std::make_unique<LatencyWords>();
  histogram.Add(*words);
  EXPECT_EQ(histogram.count(), 0u);
  words->Record(0);
  words->Record(1000 * kSecond);
  histogram.Add(*words);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.PercentileNs(1), 1000 * kSecond);
  EXPECT_LT(histogram.PercentileNs(0.5), kMicro);
}

TEST(HistogramTest, CountWithinFollowsTheBuckets) {
  Histogram histogram;
  for (uint64_t ms = 1; ms <= 100; ++ms) histogram.Record(ms * kMilli);
  EXPECT_EQ(histogram.CountWithin(0), 0u);
  EXPECT_NEAR(static_cast<double>(histogram.CountWithin(50 * kMilli)), 50, 2);
  EXPECT_EQ(histogram.CountWithin(200 * kMilli), 100u);
}

}  // namespace
}  // namespace ub
