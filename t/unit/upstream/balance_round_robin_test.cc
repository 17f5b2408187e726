#include "upstream/balance_round_robin.h"

#include <cmath>

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(BalanceRoundRobin, EachInTurn) {
  PolicyPool pool(MakeSpecs(5));
  BalanceRoundRobin balancer(pool.entries(), 2);
  for (uint32_t n = 0; n < 20; ++n) EXPECT_EQ(pool.Pick(balancer), (2 + n) % 5);
}

TEST(BalanceRoundRobin, WithinOneRequestOfIdealAtEveryMoment) {
  for (const auto& weights : std::vector<std::vector<uint32_t>>{
           std::vector<uint32_t>(7, 100), {1, 2, 3}, {100, 50, 50, 1}, {13, 17, 19, 23, 29}}) {
    PolicyPool pool(WeightedSpecs(weights));
    double total = 0;
    for (const uint32_t weight : weights) total += weight;
    BalanceRoundRobin balancer(pool.entries(), 0);
    std::vector<uint64_t> chosen(weights.size());
    for (uint64_t n = 1; n <= static_cast<uint64_t>(2 * total); ++n) {
      ++chosen[pool.Pick(balancer)];
      for (size_t i = 0; i < weights.size(); ++i) {
        const double ideal = static_cast<double>(n) * weights[i] / total;
        ASSERT_LE(std::abs(static_cast<double>(chosen[i]) - ideal), 1.0) << n << " " << i;
      }
    }
  }
}

TEST(BalanceRoundRobin, NeighbourOfADownBackendHasNoDoubleShare) {
  PolicyPool pool(MakeSpecs(4));
  pool.SetHealth(1, HealthState::kDown);
  BalanceRoundRobin balancer(pool.entries(), 0);
  EXPECT_EQ(pool.Count(balancer, 300), (std::vector<uint64_t>{100, 0, 100, 100}));
}

TEST(BalanceRoundRobin, AllInSlowStartStillServe) {
  PolicyPool pool(MakeSpecs(3));
  pool.settings.slow_start_ns = 100 * kSecond;
  for (uint32_t i = 0; i < 3; ++i) pool.slot(i).slow_start_since = pool.now_ns;
  BalanceRoundRobin balancer(pool.entries(), 0);
  uint64_t sum = 0;
  for (const uint64_t chosen : pool.Count(balancer, 300)) {
    EXPECT_GT(chosen, 60u);
    sum += chosen;
  }
  EXPECT_EQ(sum, 300u) << "none was refused";
}

TEST(BalanceRoundRobin, NoneUsableIsSaid) {
  PolicyPool pool(MakeSpecs(2));
  pool.SetHealth(0, HealthState::kDown);
  pool.SetHealth(1, HealthState::kDown);
  BalanceRoundRobin balancer(pool.entries(), 0);
  EXPECT_EQ(pool.Pick(balancer), kNoIndex);
}

// What UpstreamGroup makes of `phase`: N workers do not hit the same backend at once.
TEST(BalanceRoundRobin, WorkersStartAtDifferentPlaces) {
  for (const char* algorithm : {"round-robin", "weighted", "least-connections"}) {
    auto specs = MakeSpecs(8);
    Pool pool(specs, algorithm, 8);
    std::vector<int> first(8);
    for (size_t w = 0; w < 8; ++w) {
      const Lease lease = pool.Take(w);
      ++first[lease.slot];
      pool.group(w).Release(lease);
    }
    const auto different = std::count_if(first.begin(), first.end(), [](int n) { return n > 0; });
    EXPECT_GE(different, 6) << algorithm;
    EXPECT_LE(*std::max_element(first.begin(), first.end()), 2) << algorithm;
  }
}

}  // namespace
}  // namespace ub
