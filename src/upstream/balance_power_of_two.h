// power-of-two: of two random backends (by weight) the one with fewer requests in flight for its weight, summed over all
// processes. Idle ones take the first that was drawn. O(1), two loads a process.
#ifndef UB_UPSTREAM_BALANCE_POWER_OF_TWO_H_
#define UB_UPSTREAM_BALANCE_POWER_OF_TWO_H_

#include "upstream/alias_table.h"
#include "upstream/balancer.h"

namespace ub {

class BalancePowerOfTwo final : public Balancer {
 public:
  BalancePowerOfTwo(std::span<const ViewEntry> entries, uint64_t /*phase*/) : table_(entries) {}
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  AliasTable table_;
};

// Two different permitted entries drawn by weight. `second` is kNoIndex where no other was found in kMaxProposals
// draws, `first` where nothing is usable.
struct DrawnPair {
  uint32_t first, second;
};
DrawnPair DrawPair(const AliasTable& table, Candidates& among, Random& random);

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_POWER_OF_TWO_H_
