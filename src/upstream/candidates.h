// What a balancing policy may choose from: one tier of the view, seen through health, breaker, limits and what the
// request was already tried on.
//
// Lives on the stack of one pick. A question about one entry costs two or three loads of shared memory, and one more
// a process where the entry has a limit. Nothing is allocated.
#ifndef UB_UPSTREAM_CANDIDATES_H_
#define UB_UPSTREAM_CANDIDATES_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/config.h"
#include "core/random.h"
#include "upstream/backend_view.h"
#include "upstream/circuit_breaker.h"
#include "upstream/health_state.h"

namespace ub {

// What decides over all picks of a group; changed by Configure and, `panic`, by the share of usable backends.
struct PickSettings {
  CircuitBreakerConfig breaker;
  uint64_t slow_start_ns = 0;
  bool check_health = true;
  bool panic = false;  // too few are healthy: use the unhealthy ones too
};

class Candidates {
 public:
  // Reservations that one pick may lose to other processes before it walks the rest one by one.
  static constexpr size_t kMaxExcluded = 8;
  // Slow start begins at this share of the weight.
  static constexpr double kSlowStartFloor = 0.1;

  Candidates(const BackendView& view, std::span<const ViewEntry> entries, const PickSettings& settings, Random& random,
             std::span<const uint32_t> tried, uint64_t now_ns)
      : view_(view), entries_(entries), settings_(settings), random_(random), tried_(tried), now_ns_(now_ns) {}

  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
  std::span<const ViewEntry> entries() const { return entries_; }
  const ViewEntry& operator[](uint32_t i) const { return entries_[i]; }
  const BackendSlot& Slot(uint32_t i) const { return view_.Slot(entries_[i]); }
  const BackendView& view() const { return view_; }
  const PickSettings& settings() const { return settings_; }
  uint64_t now_ns() const { return now_ns_; }
  uint32_t InFlight(uint32_t i) const { return view_.InFlight(entries_[i].slot); }

  // May entry `i` be chosen? In service, healthy, breaker passable, not tried, not full.
  bool Usable(uint32_t i) { return InService(i) && !Full(i); }

  // Usable, and where it is in slow start it wins a draw at its share of the weight: for policies that propose one
  // backend at a time. Those that compare backends ask Usable and Weight.
  bool Permits(uint32_t i) {
    return Usable(i) && (settings_.slow_start_ns == 0 || SlowStartShare(i) >= 1 ||
                         random_.Unit() < SlowStartShare(i));
  }

  // The weight in force, in 1/16: slow start lowers it.
  uint32_t Weight(uint32_t i) const {
    const uint32_t whole = entries_[i].weight * 16;
    if (settings_.slow_start_ns == 0) return whole;
    return std::max(1u, static_cast<uint32_t>(whole * SlowStartShare(i)));
  }

  // The first usable entry at or after `start`, going round; kNoIndex. The way out of a policy whose proposals failed.
  uint32_t ScanFrom(uint32_t start);
  // A usable entry by weight, drawn in one walk over all; kNoIndex.
  uint32_t DrawByWeight();

  // A place at `i` was lost to another process while this pick tried to take it.
  void Exclude(uint32_t i, bool full) {
    if (excluded_count_ < kMaxExcluded) excluded_[excluded_count_++] = i;
    saw_full_ |= full;
  }
  bool excluded_all() const { return excluded_count_ == kMaxExcluded; }
  // A backend that could have served was at its limit.
  bool saw_full() const { return saw_full_; }

  // Ready, healthy and not shut by the breaker, whatever this request tried before.
  static bool Serving(const BackendView& view, const ViewEntry& entry, const PickSettings& settings, uint64_t now_ns) {
    if (entry.admin != AdminState::kReady) return false;
    BackendSlot& slot = view.shm().slot(entry.slot);
    if (settings.check_health && !settings.panic &&
        !HealthUsable(static_cast<HealthState>(slot.health.load(std::memory_order_relaxed)))) {
      return false;
    }
    const BreakerGate gate = CircuitBreaker(slot, settings.breaker).Look(now_ns);
    return gate == BreakerGate::kPass || (gate == BreakerGate::kTicket && TicketFree(view, entry, settings));
  }

 private:
  bool InService(uint32_t i) const {
    const ViewEntry& entry = entries_[i];
    if (!tried_.empty() && std::find(tried_.begin(), tried_.end(), entry.slot) != tried_.end()) return false;
    const auto excluded_end = excluded_.begin() + excluded_count_;
    if (excluded_count_ != 0 && std::find(excluded_.begin(), excluded_end, i) != excluded_end) return false;
    return Serving(view_, entry, settings_, now_ns_);
  }
  bool Full(uint32_t i) {
    const uint32_t limit = entries_[i].max_connections;
    if (limit == 0 || InFlight(i) < limit) return false;
    saw_full_ = true;
    return true;
  }
  static bool TicketFree(const BackendView& view, const ViewEntry& entry, const PickSettings& settings);
  double SlowStartShare(uint32_t i) const;

  const BackendView& view_;
  const std::span<const ViewEntry> entries_;
  const PickSettings& settings_;
  Random& random_;
  const std::span<const uint32_t> tried_;
  const uint64_t now_ns_;
  bool saw_full_ = false;
  uint32_t excluded_count_ = 0;
  std::array<uint32_t, kMaxExcluded> excluded_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_CANDIDATES_H_
