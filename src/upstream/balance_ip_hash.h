// ip-hash: the same key goes to the same backend, whatever worker it meets.
//
// A maglev table (Eisenbud et al., NSDI 2016) of 65,537 places that backends fill in turn by weight, each in its own
// order: even to a fraction of a percent, and nearly all keys stay where they are when a backend comes or goes. What
// is down or full is only passed over, so its keys alone move. Load is bounded (Mirrokni et al., SODA 2018): who has more
// than 1.5 times its share of the requests in flight hands the next one on, along the key's own sequence.
//
// A pick is O(1). Built with the view in O(65537 + n). 256 KiB a worker and tier.
#ifndef UB_UPSTREAM_BALANCE_IP_HASH_H_
#define UB_UPSTREAM_BALANCE_IP_HASH_H_

#include <vector>

#include "upstream/balancer.h"

namespace ub {

class BalanceIpHash final : public Balancer {
 public:
  static constexpr uint32_t kTableSize = 65537;  // a prime
  static constexpr double kLoadBound = 1.5;
  // Requests in flight for a mean weight that bound nobody: below that, keeping a client where it is counts more.
  static constexpr double kLoadFloor = 16;

  BalanceIpHash(std::span<const ViewEntry> entries, uint64_t phase);
  uint32_t Pick(Candidates& among, uint64_t key, Random& random) override;

 private:
  void Fill(std::span<const ViewEntry> entries);
  void SumUp(Candidates& among);

  std::vector<uint32_t> table_;
  double mean_weight_ = 1;
  // What the bound is measured by; summed anew every few milliseconds, counted up in between.
  uint64_t summed_at_ns_ = 0;
  bool summed_ = false;
  double in_flight_ = 0;
  double usable_weight_ = 0;
  std::vector<uint32_t> sums_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCE_IP_HASH_H_
