#include "http/rate_sampler.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(RateSamplerTest, RatesOverTheirSpans) {
  RateSampler sampler;
  uint64_t now = 100 * kSecond, total = 5000;
  EXPECT_EQ(sampler.Rates(now, total).one_second, 0) << "nothing is known yet";
  // 100 a second for two minutes, then 1000 a second for 5 seconds.
  for (int i = 0; i < 480; ++i, now += kSecond / 4, total += 25) sampler.Sample(now, total);
  EXPECT_NEAR(sampler.Rates(now, total).one_second, 100, 0.1);
  EXPECT_NEAR(sampler.Rates(now, total).one_minute, 100, 0.1);
  for (int i = 0; i < 20; ++i, now += kSecond / 4, total += 250) sampler.Sample(now, total);
  const RequestRates rates = sampler.Rates(now, total);
  EXPECT_NEAR(rates.one_second, 1000, 1);
  EXPECT_NEAR(rates.ten_seconds, 550, 1);
  EXPECT_NEAR(rates.one_minute, 175, 1);
}

TEST(RateSamplerTest, WhatIsShorterThanTheSpanCounts) {
  RateSampler sampler;
  sampler.Sample(kSecond, 0);
  EXPECT_NEAR(sampler.Rates(3 * kSecond, 20).one_minute, 10, 0.01);
  EXPECT_EQ(sampler.Rates(kSecond, 20).one_minute, 0);
}

}  // namespace
}  // namespace ub
