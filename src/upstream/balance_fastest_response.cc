#include "upstream/balance_fastest_response.h"

#include "upstream/balance_power_of_two.h"
#include "upstream/peak_ewma.h"

namespace ub {

namespace {

// Costs this close are equal: the order of the draw decides, so that noise does not.
constexpr double kClose = 0.9;

}  // namespace

uint32_t BalanceFastestResponse::Pick(Candidates& among, uint64_t /*key*/, Random& random) {
  const auto [a, b] = DrawPair(table_, among, random);
  if (b == kNoIndex) return a;
  const PeakEwma time_a(among.Slot(a).ewma), time_b(among.Slot(b).ewma);
  // Response time × (requests in flight for the weight + 1), both sides times both weights: divisions are slow.
  const auto cost = [&](uint32_t i, uint32_t other, const PeakEwma& own, const PeakEwma& rival) {
    const double load = among.InFlight(i) * table_.mean_weight() + among[i].weight;
    return own.Estimate(among.now_ns(), rival.Value()) * load * among[other].weight;
  };
  return cost(b, a, time_b, time_a) < kClose * cost(a, b, time_a, time_b) ? b : a;
}

}  // namespace ub
