#include "upstream/balance_least_connections.h"

#include <algorithm>

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(BalanceLeastConnections, TheOneWithTheFewestOverAllProcesses) {
  PolicyPool pool(MakeSpecs(4), 3);
  for (uint32_t i = 0; i < 4; ++i) pool.in_flight(i, 0) = 2;
  pool.in_flight(2, 0) = 0;
  pool.in_flight(2, 1) = 1;
  BalanceLeastConnections balancer(pool.entries(), 0);
  for (int n = 0; n < 10; ++n) EXPECT_EQ(pool.Pick(balancer), 2u);
  pool.in_flight(2, 2) = 5;
  for (int n = 0; n < 10; ++n) EXPECT_NE(pool.Pick(balancer), 2u);
}

TEST(BalanceLeastConnections, TiesTakeTurns) {
  PolicyPool pool(MakeSpecs(7));
  BalanceLeastConnections balancer(pool.entries(), 3);
  EXPECT_EQ(pool.Count(balancer, 700), std::vector<uint64_t>(7, 100));
  pool.in_flight(2) = 1;  // the other six are equal
  const auto chosen = pool.Count(balancer, 600);
  for (uint32_t i = 0; i < 7; ++i) EXPECT_EQ(chosen[i], i == 2 ? 0u : 100u) << i;
}

TEST(BalanceLeastConnections, HeldRequestsSettleByWeight) {
  const std::vector<uint32_t> weights{100, 200, 300, 400};
  PolicyPool pool(WeightedSpecs(weights));
  BalanceLeastConnections balancer(pool.entries(), 0);
  for (uint32_t n = 1; n <= 1000; ++n) {
    const uint32_t i = pool.Pick(balancer);
    pool.in_flight(i).fetch_add(1);
    for (uint32_t b = 0; b < 4; ++b) {
      ASSERT_NEAR(pool.in_flight(b), n * weights[b] / 1000.0, 2.0) << "after " << n;
    }
  }
}

TEST(BalanceLeastConnections, UnusableOnesArePassedOverWhateverTheyHave) {
  PolicyPool pool(MakeSpecs(3));
  pool.in_flight(0) = 100;
  pool.in_flight(1) = 5;
  pool.SetHealth(2, HealthState::kDown);
  BalanceLeastConnections balancer(pool.entries(), 0);
  EXPECT_EQ(pool.Pick(balancer), 1u);
  pool.SetHealth(1, HealthState::kDown);
  EXPECT_EQ(pool.Pick(balancer), 0u);
  pool.SetHealth(0, HealthState::kDown);
  EXPECT_EQ(pool.Pick(balancer), kNoIndex);
}

TEST(BalanceLeastConnections, SlowStartHoldsFewer) {
  PolicyPool pool(MakeSpecs(2));
  pool.settings.slow_start_ns = 10 * kSecond;
  pool.slot(1).slow_start_since = pool.now_ns - 2 * kSecond;
  BalanceLeastConnections balancer(pool.entries(), 0);
  for (int n = 0; n < 120; ++n) pool.in_flight(pool.Pick(balancer)).fetch_add(1);
  EXPECT_NEAR(pool.in_flight(1), 20, 2) << "a fifth of the other's weight";
}

}  // namespace
}  // namespace ub
