#include "upstream/balance_random.h"

namespace ub {

uint32_t BalanceRandom::Pick(Candidates& among, uint64_t /*key*/, Random& random) {
  for (int n = 0; n < kMaxProposals; ++n) {
    const uint32_t i = table_.Draw(random);
    if (among.Permits(i)) return i;
  }
  return among.DrawByWeight();
}

}  // namespace ub
