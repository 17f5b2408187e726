#include "upstream/backend_view.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <tuple>

namespace ub {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
// Gauges are summed two a word, and so many words at once: a cache line. A row is padded to whole ones.
constexpr uint32_t kPairsAtOnce = kCacheLine / sizeof(uint64_t);

// Calls `visit(row)` for each living process.
template <class Visit>
void ForEachLiveRow(const ShmSegment& shm, Visit visit) {
  const uint32_t rows = shm.header().row_high_water.load(kAcquire);
  for (uint32_t base = 0; base < rows; base += 64) {
    uint64_t live = shm.header().live_rows[base / 64].load(kAcquire);
    for (; live != 0; live &= live - 1) visit(base + static_cast<uint32_t>(std::countr_zero(live)));
  }
}

}  // namespace

bool BackendView::Refresh() {
  uint64_t version = shm_->header().table_version.load(kAcquire);
  if (built_ && version == version_) return false;
  // The version is loaded before the copy: every slot that was removed at or before it is seen as removed, which is
  // what acknowledging it promises. A change during the copy shows as another version and another copy.
  do {
    version_ = version;
    Copy();
    version = shm_->header().table_version.load(kAcquire);
  } while (version != version_);
  built_ = true;
  return true;
}

void BackendView::Copy() {
  entries_.clear();
  const uint32_t top = shm_->header().backend_high_water.load(kAcquire);
  for (uint32_t b = 0; b < top; ++b) {
    const BackendSlot& slot = shm_->slot(b);
    if (slot.state.load(kAcquire) != static_cast<uint32_t>(SlotState::kActive)) continue;
    if (slot.pool.load(kRelaxed) != pool_) continue;
    ViewEntry entry;
    entry.slot = b;
    entry.generation = slot.generation.load(kRelaxed);
    entry.weight = std::max(slot.weight.load(kRelaxed), 1u);
    entry.max_connections = slot.max_connections.load(kRelaxed);
    entry.order = slot.order.load(kRelaxed);
    entry.identity = XXH3_64bits(slot.address, slot.address_bytes);
    entry.admin = static_cast<AdminState>(slot.admin.load(kRelaxed));
    entry.backup = slot.backup.load(kRelaxed) != 0;
    entries_.push_back(entry);
  }
  std::sort(entries_.begin(), entries_.end(), [](const ViewEntry& a, const ViewEntry& b) {
    return std::tie(a.backup, a.order, a.slot) < std::tie(b.backup, b.order, b.slot);
  });
  uint32_t low = entries_.empty() ? 0 : entries_[0].slot, high = low;
  for (const ViewEntry& entry : entries_) {
    low = std::min(low, entry.slot);
    high = std::max(high, entry.slot);
  }
  first_slot_ = low / (2 * kPairsAtOnce) * (2 * kPairsAtOnce);
  pairs_.resize((high - first_slot_) / (2 * kPairsAtOnce) * kPairsAtOnce + kPairsAtOnce);
  primaries_ = static_cast<size_t>(
      std::find_if(entries_.begin(), entries_.end(), [](const ViewEntry& e) { return e.backup; }) -
      entries_.begin());
}

uint32_t BackendView::InFlight(uint32_t slot) const {
  uint32_t sum = 0;
  ForEachLiveRow(*shm_, [&](uint32_t r) { sum += shm_->in_flight(r, slot).load(kRelaxed); });
  return sum;
}

// Two neighbouring gauges are one aligned word, and their sums stay apart: nobody has 2^32 requests in flight.
void BackendView::SumBySlot(std::span<const ViewEntry> entries, std::span<uint32_t> sums) const {
  static_assert(std::endian::native == std::endian::little);
  rows_.clear();
  ForEachLiveRow(*shm_, [&](uint32_t r) {
    rows_.push_back(reinterpret_cast<const std::atomic<uint64_t>*>(&shm_->in_flight(r, first_slot_)));
  });
  // One cache line's worth at a time, so that the sums stay in registers. pairs_ is rounded up to whole ones.
  for (size_t i = 0; i < pairs_.size(); i += kPairsAtOnce) {
    uint64_t sum[kPairsAtOnce] = {};
    for (const auto* const row : rows_) {
      for (size_t k = 0; k < kPairsAtOnce; ++k) sum[k] += row[i + k].load(kRelaxed);
    }
    std::copy_n(sum, kPairsAtOnce, &pairs_[i]);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint32_t at = entries[i].slot - first_slot_;
    sums[i] = static_cast<uint32_t>(pairs_[at / 2] >> (at % 2 * 32));
  }
}

void BackendView::SumInFlight(std::span<const ViewEntry> entries, std::span<uint32_t> sums) const {
  // Slots lie close together nearly always; where they do not, reading what lies between costs more than it saves.
  if (pairs_.size() <= 2 * entries.size() + kPairsAtOnce) return SumBySlot(entries, sums);
  std::fill_n(sums.begin(), entries.size(), 0u);
  ForEachLiveRow(*shm_, [&](uint32_t r) {
    const std::atomic<uint32_t>* const row = &shm_->in_flight(r, 0);
    for (size_t i = 0; i < entries.size(); ++i) sums[i] += row[entries[i].slot].load(kRelaxed);
  });
}

}  // namespace ub
