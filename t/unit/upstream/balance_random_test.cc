#include "upstream/balance_random.h"

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(BalanceRandom, SharesPassChiSquare) {
  const std::vector<uint32_t> weights{100, 100, 50, 50, 25, 10, 10, 5, 1, 1};
  PolicyPool pool(WeightedSpecs(weights));
  BalanceRandom balancer(pool.entries(), 0);
  EXPECT_LT(ChiSquare(pool.Count(balancer, 500'000), {weights.begin(), weights.end()}),
            kChiSquare9);
}

TEST(BalanceRandom, EqualSharesPassChiSquare) {
  PolicyPool pool(MakeSpecs(100));
  BalanceRandom balancer(pool.entries(), 0);
  EXPECT_LT(ChiSquare(pool.Count(balancer, 500'000), std::vector<double>(100, 1)), kChiSquare99);
}

TEST(BalanceRandom, SharesOfTheUsablePassChiSquareWhereMostAreDown) {
  PolicyPool pool(MakeSpecs(200));
  for (uint32_t i = 0; i < 190; ++i) pool.SetHealth(i, HealthState::kDown);
  BalanceRandom balancer(pool.entries(), 0);
  const auto chosen = pool.Count(balancer, 100'000);
  EXPECT_LT(ChiSquare({chosen.begin() + 190, chosen.end()}, std::vector<double>(10, 1)),
            kChiSquare9);
}

TEST(BalanceRandom, SuccessivePicksAreIndependent) {
  PolicyPool pool(MakeSpecs(10));
  BalanceRandom balancer(pool.entries(), 0);
  std::vector<uint64_t> pairs(100);
  uint32_t before = pool.Pick(balancer);
  for (int n = 0; n < 500'000; ++n) {
    const uint32_t now = pool.Pick(balancer);
    ++pairs[before * 10 + now];
    before = now;
  }
  EXPECT_LT(ChiSquare(pairs, std::vector<double>(100, 1)), kChiSquare99);
}

TEST(BalanceRandom, WorkersDrawDifferently) {
  Pool pool(MakeSpecs(16), "random", 2);
  int same = 0;
  for (int n = 0; n < 160; ++n) {
    const Lease a = pool.Take(0), b = pool.Take(1);
    same += a.slot == b.slot;
    pool.group(0).Release(a);
    pool.group(1).Release(b);
  }
  EXPECT_LT(same, 40) << "10 are to be expected by chance";
}

}  // namespace
}  // namespace ub
