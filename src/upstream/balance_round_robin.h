// round-robin: each backend in turn, smoothly by weight. O(1) where all weights are equal, O(log n) otherwise.
#ifndef UB_UPSTREAM_BALANCE_ROUND_ROBIN_H_
#define UB_UPSTREAM_BALANCE_ROUND_ROBIN_H_

#include <optional>

#include "upstream/balancer.h"
#include "upstream/smooth_schedule.h"

namespace ub {

class BalanceRoundRobin final : public Balancer {
 public:
  BalanceRoundRobin(std::span<const ViewEntry> entries, uint64_t phase);
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  uint32_t next_ = 0;
  std::optional<SmoothSchedule> schedule_;  // where weights differ
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_ROUND_ROBIN_H_
