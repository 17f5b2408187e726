// One worker's own, dense copy of a pool's backends: what policies walk over.
//
// Lives in a worker, one object a pool. Rebuilt only when the table's version moves, else one load. What changes without
// a new version (health, breaker, slow start, gauges) is not copied but read from the shared slot.
//
// Entries come in two tiers, primaries and backups, each in the configuration's order.
#ifndef UB_UPSTREAM_BACKEND_VIEW_H_
#define UB_UPSTREAM_BACKEND_VIEW_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "core/shm_segment.h"

namespace ub {

inline constexpr uint32_t kDefaultPool = 0;
inline constexpr uint32_t kNoSlot = UINT32_MAX;
inline constexpr uint32_t kNoIndex = UINT32_MAX;

// Two a cache line: a pick among many reads one of them anew each time.
struct ViewEntry {
  uint64_t identity = 0;  // hash of the address: the same in every process, run and machine
  uint32_t slot = kNoSlot;
  uint32_t generation = 0;
  uint32_t weight = 1;
  uint32_t max_connections = 0;  // 0: no limit
  uint32_t order = 0;
  AdminState admin = AdminState::kReady;
  bool backup = false;
};
static_assert(sizeof(ViewEntry) == 32);

enum class Tier : uint8_t { kPrimary, kBackup };
inline constexpr int kTiers = 2;

class BackendView {
 public:
  BackendView(const ShmSegment& shm, uint32_t pool) : shm_(&shm), pool_(pool) {}

  // Copies the table anew where its version moved; true where it did.
  bool Refresh();
  // The version that the copy stands for: what the worker acknowledges.
  uint64_t version() const { return version_; }

  std::span<const ViewEntry> entries() const { return entries_; }
  std::span<const ViewEntry> tier(Tier tier) const {
    const std::span<const ViewEntry> all(entries_);
    return tier == Tier::kPrimary ? all.first(primaries_) : all.subspan(primaries_);
  }

  const BackendSlot& Slot(const ViewEntry& entry) const { return shm_->slot(entry.slot); }
  // Requests in flight over all living processes: one load a process.
  uint32_t InFlight(uint32_t slot) const;
  // The same for many at once, `sums[i]` for `entries[i]`: row by row, as the gauges lie in memory, two gauges a load.
  void SumInFlight(std::span<const ViewEntry> entries, std::span<uint32_t> sums) const;
  const ShmSegment& shm() const { return *shm_; }

 private:
  void Copy();
  void SumBySlot(std::span<const ViewEntry> entries, std::span<uint32_t> sums) const;

  const ShmSegment* shm_;
  uint32_t pool_;
  bool built_ = false;
  uint64_t version_ = 0;
  size_t primaries_ = 0;
  uint32_t first_slot_ = 0;  // of all entries, rounded down to a whole cache line of gauges
  mutable std::vector<uint64_t> pairs_;  // SumInFlight's: two sums a word, from first_slot_ to the last slot
  mutable std::vector<const std::atomic<uint64_t>*> rows_;  // SumInFlight's: the living processes' gauges
  std::vector<ViewEntry> entries_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BACKEND_VIEW_H_
