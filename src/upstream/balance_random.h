// random: a random backend by weight. O(1).
#ifndef UB_UPSTREAM_BALANCE_RANDOM_H_
#define UB_UPSTREAM_BALANCE_RANDOM_H_

#include "upstream/alias_table.h"
#include "upstream/balancer.h"

namespace ub {

class BalanceRandom final : public Balancer {
 public:
  BalanceRandom(std::span<const ViewEntry> entries, uint64_t /*phase*/) : table_(entries) {}
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  AliasTable table_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_RANDOM_H_
