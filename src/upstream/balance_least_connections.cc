#include "upstream/balance_least_connections.h"

namespace ub {

BalanceLeastConnections::BalanceLeastConnections(std::span<const ViewEntry> entries, uint64_t phase)
    : next_(entries.empty() ? 0 : static_cast<uint32_t>(phase % entries.size())), sums_(entries.size()) {}

uint32_t BalanceLeastConnections::Pick(Candidates& among, uint64_t /*key*/, Random& /*random*/) {
  among.view().SumInFlight(among.entries(), sums_);
  uint32_t best = kNoIndex;
  uint64_t best_load = 0, best_weight = 1;
  uint32_t i = next_;
  for (uint32_t n = 0; n < among.size(); ++n) {
    const uint64_t load = sums_[i] + uint64_t{1};
    const uint64_t weight = among.Weight(i);
    // load / weight < best_load / best_weight. Whether it is usable is asked only of those that would win.
    if ((best == kNoIndex || load * best_weight < best_load * weight) && among.Usable(i)) {
      best = i;
      best_load = load;
      best_weight = weight;
    }
    i = i + 1 < among.size() ? i + 1 : 0;
  }
  if (best != kNoIndex) next_ = best + 1 < among.size() ? best + 1 : 0;
  return best;
}

}  // namespace ub
