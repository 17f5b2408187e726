#include "upstream/balance_weighted.h"

#include <cmath>

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(BalanceWeighted, WithinOneRequestOfIdealPerCycle) {
  for (const auto& weights : std::vector<std::vector<uint32_t>>{
           {100, 100}, {1, 2, 3}, {5, 1, 1}, {100, 50, 50, 1}, {13, 17, 19, 23, 29, 1000}}) {
    PolicyPool pool(WeightedSpecs(weights));
    double total = 0;
    for (const uint32_t weight : weights) total += weight;
    for (const uint64_t phase : {uint64_t{0}, uint64_t{1}}) {
      BalanceWeighted balancer(pool.entries(), phase);
      // A whole cycle, wherever it begins, is exact to one request.
      const auto chosen = pool.Count(balancer, static_cast<uint64_t>(total));
      for (size_t i = 0; i < weights.size(); ++i) {
        EXPECT_LE(std::abs(static_cast<double>(chosen[i]) - weights[i]), 1.0)
            << i << " phase " << phase;
      }
    }
  }
}

TEST(BalanceWeighted, EveryWorkerByItself) {
  Pool pool(WeightedSpecs({1, 2, 3, 4}), "weighted", 3);
  for (size_t w = 0; w < 3; ++w) {
    const auto spread = pool.Spread(10, w);
    for (uint32_t n = 0; n < 4; ++n) {
      EXPECT_NEAR(spread[pool.Find(n)], n + 1, 1) << "worker " << w << " backend " << n;
    }
  }
}

TEST(BalanceWeighted, ATriedOneLosesOnlyItsOwnTurns) {
  PolicyPool pool(WeightedSpecs({10, 10, 20}));
  BalanceWeighted balancer(pool.entries(), 0);
  const uint32_t tried[] = {pool.entries()[2].slot};
  std::vector<uint64_t> chosen(3);
  for (int n = 0; n < 100; ++n) ++chosen[pool.Pick(balancer, 0, tried)];
  EXPECT_EQ(chosen, (std::vector<uint64_t>{50, 50, 0}));
}

}  // namespace
}  // namespace ub
