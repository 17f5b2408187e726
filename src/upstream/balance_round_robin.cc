#include "upstream/balance_round_robin.h"

#include <algorithm>

namespace ub {

BalanceRoundRobin::BalanceRoundRobin(std::span<const ViewEntry> entries, uint64_t phase) {
  const auto other = [&](const ViewEntry& entry) { return entry.weight != entries.front().weight; };
  if (std::any_of(entries.begin(), entries.end(), other)) {
    schedule_.emplace(entries, phase);
  } else if (!entries.empty()) {
    next_ = static_cast<uint32_t>(phase % entries.size());
  }
}

uint32_t BalanceRoundRobin::Pick(Candidates& among, uint64_t /*key*/, Random& /*random*/) {
  if (schedule_) return schedule_->Pick(among);
  uint32_t i = next_;
  for (uint32_t n = 0; n < among.size(); ++n) {
    // The turn after the chosen one, not after the one whose turn it was: else the neighbour of a backend that is
    // down would have two shares.
    const uint32_t after = i + 1 < among.size() ? i + 1 : 0;
    if (among.Permits(i)) {
      next_ = after;
      return i;
    }
    i = after;
  }
  i = among.ScanFrom(next_);  // all that are left are in slow start and lost their draw
  if (i != kNoIndex) next_ = i + 1 < among.size() ? i + 1 : 0;
  return i;
}

}  // namespace ub
