#include "upstream/balance_power_of_two.h"

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(BalancePowerOfTwo, IdleSharesPassChiSquare) {
  PolicyPool pool(MakeSpecs(100));
  BalancePowerOfTwo balancer(pool.entries(), 0);
  EXPECT_LT(ChiSquare(pool.Count(balancer, 500'000), std::vector<double>(100, 1)), kChiSquare99);
}

TEST(BalancePowerOfTwo, IdleSharesAreByWeight) {
  const std::vector<uint32_t> weights{100, 100, 50, 50, 25, 10, 10, 5, 1, 1};
  PolicyPool pool(WeightedSpecs(weights));
  BalancePowerOfTwo balancer(pool.entries(), 0);
  EXPECT_LT(ChiSquare(pool.Count(balancer, 500'000), {weights.begin(), weights.end()}),
            kChiSquare9);
}

TEST(BalancePowerOfTwo, TheLessLoadedOfTheTwo) {
  PolicyPool pool(MakeSpecs(10), 3);
  pool.in_flight(4, 2) = 1;  // as another process reports
  BalancePowerOfTwo balancer(pool.entries(), 0);
  const auto chosen = pool.Count(balancer, 10'000);
  EXPECT_EQ(chosen[4], 0u) << "whoever it is drawn with has less";
  // Nobody idle: the busiest is never chosen, the idlest wins each pair that it is in, 2 of 10.
  for (uint32_t i = 0; i < 10; ++i) pool.in_flight(i, 1) = i;
  const auto graded = pool.Count(balancer, 100'000);
  EXPECT_NEAR(static_cast<double>(graded[0]), 20'000, 500);
  EXPECT_EQ(graded[9], 0u);
  for (uint32_t i = 1; i < 4; ++i) EXPECT_LT(graded[i], graded[i - 1]) << i;
}

TEST(BalancePowerOfTwo, LoadIsByWeight) {
  PolicyPool pool(WeightedSpecs({100, 10}));
  pool.in_flight(0) = 9;
  pool.in_flight(1) = 1;
  BalancePowerOfTwo balancer(pool.entries(), 0);
  EXPECT_GT(pool.Count(balancer, 1000)[0], 990u) << "9 of 100 is less than 1 of 10";
  pool.in_flight(0) = 11;
  EXPECT_GT(pool.Count(balancer, 1000)[1], 400u) << "11 of 100 is more";
}

TEST(BalancePowerOfTwo, PairIsOfTwoDifferentOnes) {
  PolicyPool pool(WeightedSpecs({1000, 1}));
  const AliasTable table(pool.entries());
  int alone = 0;
  for (int n = 0; n < 1000; ++n) {
    Candidates among = pool.Among();
    const DrawnPair pair = DrawPair(table, among, pool.random);
    ASSERT_NE(pair.first, kNoIndex);
    EXPECT_NE(pair.first, pair.second);
    alone += pair.second == kNoIndex;
  }
  EXPECT_GT(alone, 900) << "a bounded number of draws";
}

TEST(BalancePowerOfTwo, OneOrNoneUsable) {
  PolicyPool pool(MakeSpecs(50));
  BalancePowerOfTwo balancer(pool.entries(), 0);
  for (uint32_t i = 0; i < 50; ++i) {
    if (i != 17) pool.SetHealth(i, HealthState::kDown);
  }
  for (int n = 0; n < 100; ++n) EXPECT_EQ(pool.Pick(balancer), 17u);
  pool.SetHealth(17, HealthState::kDown);
  EXPECT_EQ(pool.Pick(balancer), kNoIndex);
}

}  // namespace
}  // namespace ub
