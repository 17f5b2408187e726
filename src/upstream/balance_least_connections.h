// least-connections: the backend with the fewest requests in flight for its weight, summed over all processes.
//
// O(backends × processes): one pass over the gauges, row by row. Equals take turns.
#ifndef UB_UPSTREAM_BALANCE_LEAST_CONNECTIONS_H_
#define UB_UPSTREAM_BALANCE_LEAST_CONNECTIONS_H_

#include <vector>

#include "upstream/balancer.h"

namespace ub {

class BalanceLeastConnections final : public Balancer {
 public:
  BalanceLeastConnections(std::span<const ViewEntry> entries, uint64_t phase);
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  uint32_t next_ = 0;           // of equals, the first from here on
  std::vector<uint32_t> sums_;  // in flight, one an entry
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_LEAST_CONNECTIONS_H_
