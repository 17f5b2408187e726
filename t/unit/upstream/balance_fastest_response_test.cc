#include "upstream/balance_fastest_response.h"

#include "policy_fixture.h"
#include "upstream/peak_ewma.h"

namespace ub {
namespace {

// A pool whose backends answer after a fixed time each, and clients that begin one request every
// `gap_ns`.
class Simulation {
 public:
  explicit Simulation(std::vector<uint64_t> response_ns)
      : pool_(MakeSpecs(static_cast<uint32_t>(response_ns.size()))),
        balancer_(pool_.Make("fastest-response")),
        response_ns_(std::move(response_ns)),
        peak_(response_ns_.size()) {}

  std::vector<uint64_t> Run(int requests, uint64_t gap_ns) {
    std::vector<uint64_t> chosen(response_ns_.size());
    peak_.assign(peak_.size(), 0);
    for (int n = 0; n < requests; ++n) {
      pool_.now_ns += gap_ns;
      Finish();
      const uint32_t i = pool_.Pick(*balancer_);
      ++chosen[i];
      const uint32_t held = pool_.in_flight(i).fetch_add(1) + 1;
      peak_[i] = std::max(peak_[i], held);
      under_way_.push_back({pool_.now_ns + response_ns_[i], i, response_ns_[i]});
    }
    return chosen;
  }
  void Drain() {
    pool_.now_ns += 100 * kSecond;
    Finish();
  }
  PolicyPool& pool() { return pool_; }
  uint32_t peak(uint32_t i) const { return peak_[i]; }
  std::vector<uint64_t>& response_ns() { return response_ns_; }

 private:
  struct Request {
    uint64_t ends_ns;
    uint32_t backend;
    uint64_t took_ns;
  };
  void Finish() {
    std::erase_if(under_way_, [this](const Request& request) {
      if (request.ends_ns > pool_.now_ns) return false;
      pool_.in_flight(request.backend).fetch_sub(1);
      PeakEwma::Record(pool_.slot(request.backend).ewma, request.took_ns, request.ends_ns);
      return true;
    });
  }

  PolicyPool pool_;
  std::unique_ptr<Balancer> balancer_;
  std::vector<uint64_t> response_ns_;
  std::vector<uint32_t> peak_;
  std::vector<Request> under_way_;
};

TEST(BalanceFastestResponse, PrefersTheFast) {
  Simulation simulation({10 * kMilli, 10 * kMilli, 10 * kMilli, 100 * kMilli});
  simulation.Run(2000, kMilli);
  const auto chosen = simulation.Run(10'000, kMilli);
  EXPECT_LT(chosen[3], 1000u) << "a quarter would be 2500";
  EXPECT_GT(chosen[3], 0u) << "but it is looked at now and then";
  for (uint32_t i = 0; i < 3; ++i) EXPECT_NEAR(static_cast<double>(chosen[i]), 3000, 600) << i;
}

TEST(BalanceFastestResponse, AFastBackendIsNotFlooded) {
  // All load on the fast one would be 1000 requests a second × 50 ms = 50 in flight there.
  Simulation simulation({50 * kMilli, 60 * kMilli, 60 * kMilli, 60 * kMilli});
  simulation.Run(2000, kMilli);
  const auto chosen = simulation.Run(10'000, kMilli);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_GT(chosen[i], 1200u) << i;
    EXPECT_LT(simulation.peak(i), 40u) << i;
  }
}

TEST(BalanceFastestResponse, ANewBackendIsNeitherStarvedNorFlooded) {
  // Three have been known for long, the fourth has no history; it is as slow as the others, or much
  // slower.
  for (const auto& [time, fewest] : {std::pair{20 * kMilli, 20u}, std::pair{400 * kMilli, 4u}}) {
    Simulation simulation({20 * kMilli, 20 * kMilli, 20 * kMilli, time});
    simulation.pool().SetHealth(3, HealthState::kDown);
    simulation.Run(2000, kMilli);
    simulation.pool().SetHealth(3, HealthState::kUp);
    const auto first = simulation.Run(400, kMilli);
    EXPECT_GE(first[3], fewest) << time;
    EXPECT_LT(first[3], 150u) << time << ": even is 100";
    EXPECT_LT(simulation.peak(3), 60u) << time;
  }
}

TEST(BalanceFastestResponse, NothingKnownAtAllIsEven) {
  PolicyPool pool(MakeSpecs(4));
  BalanceFastestResponse balancer(pool.entries(), 0);
  for (const uint64_t chosen : pool.Count(balancer, 40'000)) {
    EXPECT_NEAR(static_cast<double>(chosen), 10'000, 400);
  }
}

TEST(BalanceFastestResponse, OneThatWasSlowIsTriedAgainAndForgiven) {
  Simulation simulation({10 * kMilli, 10 * kMilli});
  for (int n = 0; n < 20; ++n)
    PeakEwma::Record(simulation.pool().slot(1).ewma, 10 * kSecond, simulation.pool().now_ns);
  const auto at_once = simulation.Run(1000, kMilli);
  EXPECT_LT(at_once[1], 50u);
  uint64_t later = 0;
  for (int n = 0; n < 60 && later < 300; ++n) later = simulation.Run(1000, kMilli)[1];
  EXPECT_GE(later, 300u) << "within a minute it has its share again";
}

TEST(BalanceFastestResponse, NoiseDoesNotDecide) {
  PolicyPool pool(MakeSpecs(2));
  PeakEwma::Record(pool.slot(0).ewma, 100 * kMilli, pool.now_ns);
  PeakEwma::Record(pool.slot(1).ewma, 95 * kMilli, pool.now_ns);
  BalanceFastestResponse balancer(pool.entries(), 0);
  const auto chosen = pool.Count(balancer, 10'000);
  EXPECT_NEAR(static_cast<double>(chosen[0]), 5000, 300);
}

TEST(BalanceFastestResponse, InFlightIsWeighedByWeight) {
  PolicyPool pool(WeightedSpecs({300, 100}));
  for (uint32_t i = 0; i < 2; ++i) PeakEwma::Record(pool.slot(i).ewma, 10 * kMilli, pool.now_ns);
  pool.in_flight(0) = 9;
  pool.in_flight(1) = 9;
  BalanceFastestResponse balancer(pool.entries(), 0);
  EXPECT_GT(pool.Count(balancer, 1000)[0], 950u);
}

}  // namespace
}  // namespace ub
