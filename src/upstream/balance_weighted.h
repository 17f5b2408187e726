// weighted: in turn by weight, whatever the weights are. O(log n).
#ifndef UB_UPSTREAM_BALANCE_WEIGHTED_H_
#define UB_UPSTREAM_BALANCE_WEIGHTED_H_

#include "upstream/balancer.h"
#include "upstream/smooth_schedule.h"

namespace ub {

class BalanceWeighted final : public Balancer {
 public:
  BalanceWeighted(std::span<const ViewEntry> entries, uint64_t phase) : schedule_(entries, phase) {}
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  SmoothSchedule schedule_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_WEIGHTED_H_
