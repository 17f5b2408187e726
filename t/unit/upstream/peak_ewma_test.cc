#include "upstream/peak_ewma.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

namespace ub {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kS = 1000 * kMs;
constexpr uint64_t kT = 5000 * kS;

double Value(const std::atomic<uint64_t>& word) { return PeakEwma(word).Value(); }

TEST(PeakEwma, NothingKnown) {
  const std::atomic<uint64_t> word{0};
  EXPECT_EQ(Value(word), 0);
  EXPECT_EQ(PeakEwma(word).Estimate(kT, 7e6), 7e6) << "as fast as its rival";
  EXPECT_GT(PeakEwma(word).Estimate(kT, 0), 0);
}

TEST(PeakEwma, FirstSampleIsTheValue) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 10 * kMs, kT);
  EXPECT_NEAR(Value(word), 10e6, 256);
}

TEST(PeakEwma, APeakCountsAtOnceAndFallsSlowly) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 10 * kMs, kT);
  PeakEwma::Record(word, 900 * kMs, kT);
  EXPECT_NEAR(Value(word), 900e6, 256);
  PeakEwma::Record(word, 10 * kMs, kT);
  EXPECT_NEAR(Value(word), 900e6, 256) << "no time has passed";
  PeakEwma::Record(word, 10 * kMs, kT + 5 * kS);
  EXPECT_NEAR(Value(word), 10e6 + 890e6 / std::exp(1), 4e6);
}

TEST(PeakEwma, ManySmallStepsFallLikeOneLarge) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 1000 * kMs, kT);
  for (uint64_t ms = 1; ms <= 5000; ++ms) PeakEwma::Record(word, 100 * kMs, kT + ms * kMs);
  EXPECT_NEAR(Value(word), 100e6 + 900e6 / std::exp(1), 20e6);
}

TEST(PeakEwma, ReachesTheSampleInTheEnd) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 11 * kMs, kT);
  for (uint64_t n = 1; n <= 60'000; ++n) PeakEwma::Record(word, 10 * kMs, kT + n * 2 * kMs);
  EXPECT_NEAR(Value(word), 10e6, 1000) << "rounding does not hold it up";
}

TEST(PeakEwma, EstimateDecaysTowardsTheRivalWhenUnused) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 1000 * kMs, kT);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT, 10e6), 1000e6, 1e3);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT + 5 * kS, 10e6), 10e6 + 990e6 / std::exp(1), 4e6);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT + 100 * kS, 10e6), 10e6, 1e5);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT + 100 * kS, 0), 1000e6, 1e3)
      << "there is nobody to be like";
  // Fast ones that are not used lose their lead likewise.
  EXPECT_NEAR(PeakEwma(word).Estimate(kT + 100 * kS, 5e9), 5e9, 1e7);
}

TEST(PeakEwma, FailuresOnlyRaise) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 100 * kMs, kT);
  PeakEwma::Record(word, kMs, kT + 10 * kS, /*peak_only=*/true);
  EXPECT_NEAR(Value(word), 100e6, 256) << "failing fast is not being fast";
  PeakEwma::Record(word, 300 * kMs, kT + 10 * kS, /*peak_only=*/true);
  EXPECT_NEAR(Value(word), 300e6, 256);
}

TEST(PeakEwma, AnotherProcessesClockMayBeAhead) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 100 * kMs, kT + 50 * kMs);
  PeakEwma::Record(word, 10 * kMs, kT);
  EXPECT_NEAR(Value(word), 100e6, 256);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT, 10e6), 100e6, 1e3);
}

TEST(PeakEwma, ExtremesAreClamped) {
  std::atomic<uint64_t> word{0};
  PeakEwma::Record(word, 0, kT);
  EXPECT_GT(Value(word), 0);
  PeakEwma::Record(word, UINT64_MAX, kT);
  EXPECT_NEAR(Value(word), 1.1e12, 1e10);
}

TEST(PeakEwma, StampWrapsAround) {
  std::atomic<uint64_t> word{0};
  const uint64_t before_wrap = (uint64_t{UINT32_MAX} << 20) + kMs;
  PeakEwma::Record(word, 1000 * kMs, before_wrap);
  PeakEwma::Record(word, 100 * kMs, before_wrap + 5 * kS);
  EXPECT_NEAR(Value(word), 100e6 + 900e6 / std::exp(1), 4e6);
}

// Stamps turn round after 52 days; one that is older than half of that is still old.
TEST(PeakEwma, AValueOfWeeksAgoHasNoWeight) {
  std::atomic<uint64_t> word{0};
  constexpr uint64_t kDay = 86'400 * kS;
  PeakEwma::Record(word, 1000 * kMs, kT);
  EXPECT_NEAR(PeakEwma(word).Estimate(kT + 40 * kDay, 10e6), 10e6, 1e3);
  PeakEwma::Record(word, 100 * kMs, kT + 40 * kDay);
  EXPECT_NEAR(Value(word), 100e6, 1e3);
}

TEST(PeakEwma, ConcurrentWritersKeepThePeak) {
  std::atomic<uint64_t> word{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&word, t] {
      for (uint64_t n = 1; n <= 20'000; ++n) PeakEwma::Record(word, (n % 100 + 100 * t) * kMs, kT);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_NEAR(Value(word), 399e6, 256);
}

}  // namespace
}  // namespace ub
