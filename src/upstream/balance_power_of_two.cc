#include "upstream/balance_power_of_two.h"

namespace ub {

DrawnPair DrawPair(const AliasTable& table, Candidates& among, Random& random) {
  DrawnPair pair{kNoIndex, kNoIndex};
  for (int n = 0; n < kMaxProposals; ++n) {
    const uint32_t i = table.Draw(random);
    if (i == pair.first || !among.Permits(i)) continue;
    if (pair.first != kNoIndex) {
      pair.second = i;
      return pair;
    }
    pair.first = i;
    if (among.size() == 1) return pair;
  }
  if (pair.first == kNoIndex) pair.first = among.DrawByWeight();
  return pair;
}

uint32_t BalancePowerOfTwo::Pick(Candidates& among, uint64_t /*key*/, Random& random) {
  const auto [a, b] = DrawPair(table_, among, random);
  if (b == kNoIndex) return a;
  const uint64_t load_a = uint64_t{among.InFlight(a)} * among[b].weight;
  const uint64_t load_b = uint64_t{among.InFlight(b)} * among[a].weight;
  return load_b < load_a ? b : a;
}

}  // namespace ub
