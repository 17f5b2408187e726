#include "upstream/balance_weighted.h"

namespace ub {

uint32_t BalanceWeighted::Pick(Candidates& among, uint64_t /*key*/, Random& /*random*/) {
  return schedule_.Pick(among);
}

}  // namespace ub
