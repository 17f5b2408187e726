// fastest-response: of two random backends (by weight) the one that promises the sooner answer: its response time,
// a peak-sensitive moving average that all workers share, times the requests in flight there and this one.
//
// A backend of which nothing is known, or nothing recent, counts as fast as its rival: a new one is neither starved nor
// flooded, one that was slow is tried again after a while. O(1), two loads a process.
#ifndef UB_UPSTREAM_BALANCE_FASTEST_RESPONSE_H_
#define UB_UPSTREAM_BALANCE_FASTEST_RESPONSE_H_

#include "upstream/alias_table.h"
#include "upstream/balancer.h"

namespace ub {

class BalanceFastestResponse final : public Balancer {
 public:
  BalanceFastestResponse(std::span<const ViewEntry> entries, uint64_t /*phase*/) : table_(entries) {}
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  AliasTable table_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_FASTEST_RESPONSE_H_
