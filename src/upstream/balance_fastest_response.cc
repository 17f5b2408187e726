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
  const auto cost = [&](uint32_t i, const PeakEwma& own, const PeakEwma& rival) {
    const double share = table_.mean_weight() / among[i].weight;
    return own.Estimate(among.now_ns(), rival.Value()) * (among.InFlight(i) * share + 1);
  };
  return cost(b, time_b, time_a) < kClose * cost(a, time_a, time_b) ? b : a;
}

}  // namespace ub
