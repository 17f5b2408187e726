// A smooth order by weight: in each cycle every entry has its turns, spread evenly.
//
// Turn k of an entry with weight w of W falls into the window [k·W/w, (k+1)·W/w) of the cycle, and of the turns whose window
// is open the one that closes first is next. That order always exists (unit jobs, full load, earliest deadline first), so
// after any number of turns each entry is within one turn of its share. Integers only: a cycle ends exactly.
//
// For round-robin and weighted; one a worker and tier. O(log n) a turn, 24 bytes an entry.
#ifndef UB_UPSTREAM_SMOOTH_SCHEDULE_H_
#define UB_UPSTREAM_SMOOTH_SCHEDULE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "upstream/candidates.h"

namespace ub {

class SmoothSchedule {
 public:
  SmoothSchedule(std::span<const ViewEntry> entries, uint64_t phase);

  // The next usable entry in order; an unusable one loses its turn. kNoIndex where none is usable.
  uint32_t Pick(Candidates& among);
  // The next entry in order, usable or not.
  uint32_t Next();
  // Turns in a cycle: the sum of the weights over their common divisor.
  uint64_t cycle() const { return cycle_; }

 private:
  struct Turn {
    uint64_t when;  // in pending_: the window opens; in ready_: it closes
    uint32_t index;
  };

  void StartCycle();
  uint32_t PickByWalk(Candidates& among);

  uint64_t cycle_ = 0;
  uint64_t now_ = 0;  // turns given in this cycle
  std::vector<uint32_t> weights_;  // over their common divisor
  std::vector<uint32_t> given_;    // turns given in this cycle
  std::vector<Turn> pending_, ready_;  // heaps, the earliest on top
  std::vector<int64_t> credit_;        // of PickByWalk
};

}  // namespace ub

#endif  // UB_UPSTREAM_SMOOTH_SCHEDULE_H_
