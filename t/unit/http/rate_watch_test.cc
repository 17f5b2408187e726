#include "http/rate_watch.h"

#include "gtest/gtest.h"

namespace ub {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(RateWatch, SilenceUsesUpTheGrace) {
  RateWatch watch;
  watch.Begin(100 * kSecond, 60 * kSecond);
  EXPECT_EQ(watch.deadline_ns(), 105 * kSecond);
  watch.Begin(100 * kSecond, 2 * kSecond);
  EXPECT_EQ(watch.deadline_ns(), 102 * kSecond) << "a shorter time-out goes before it";
}

TEST(RateWatch, ASenderAtTheRateGoesOnForEverAndASlowerOneDoesNot) {
  for (const uint64_t sent : {100u, 99u}) {
    RateWatch watch;
    watch.Begin(0, 60 * kSecond);
    uint64_t second = 0;
    while (second < 10'000 && watch.deadline_ns() > ++second * kSecond) watch.Got(sent, 100, second * kSecond);
    if (sent == 100) {
      EXPECT_EQ(second, 10'000u);
    } else {
      EXPECT_NEAR(static_cast<double>(second), 400, 2) << "5 s of credit, a hundredth lost each second, and one in between";
    }
  }
}

TEST(RateWatch, AwaitsUntilTheLimitOrTheEndOfTheCreditWhateverIsSooner) {
  RateWatch watch;
  watch.Begin(0, 60 * kSecond);
  EXPECT_EQ(watch.Await(0, 0, kSecond, 60 * kSecond), 60 * kSecond) << "no rate is asked for";
  EXPECT_EQ(watch.Await(0, 100, kSecond, 60 * kSecond), 5 * kSecond);
  EXPECT_EQ(watch.Await(100, 100, kSecond, 60 * kSecond), 6 * kSecond);
  EXPECT_EQ(watch.Await(0, 100, kSecond, 2 * kSecond), 2 * kSecond);
}

TEST(RateWatch, FastBytesOfLongAgoDoNotPayForSilence) {
  RateWatch watch;
  watch.Begin(0, 60 * kSecond);
  watch.Got(1'000'000, 1, kSecond);
  EXPECT_EQ(watch.deadline_ns(), 6 * kSecond);
}

TEST(RateWatch, LargeNumbersDoNotOverflow) {
  for (const uint64_t rate : {uint64_t{1}, uint64_t{1} << 30, uint64_t{1} << 31}) {
    RateWatch watch;
    watch.Begin(0, 60 * kSecond);
    watch.Got(UINT64_MAX, rate, 3 * kSecond);
    EXPECT_EQ(watch.deadline_ns(), 8 * kSecond) << rate;
  }
  RateWatch watch;
  watch.Begin(0, 60 * kSecond);
  watch.Got(uint64_t{1} << 30, uint64_t{1} << 40, 3 * kSecond);  // limits.min_rate_bytes at its largest
  EXPECT_EQ(watch.deadline_ns(), 5 * kSecond + kSecond / 1024);
}

}  // namespace
}  // namespace ub
