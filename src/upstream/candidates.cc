#include "upstream/candidates.h"

namespace ub {

bool Candidates::TicketFree(const BackendView& view, const ViewEntry& entry, const PickSettings& settings) {
  const ShmSegment& shm = view.shm();
  const uint32_t held = shm.SumLive(
      [&](uint32_t r) -> const std::atomic<uint32_t>& { return shm.tickets(r, entry.slot); });
  return held < std::max(settings.breaker.half_open_requests, 1u);
}

double Candidates::SlowStartShare(uint32_t i) const {
  const uint64_t since = Slot(i).slow_start_since.load(std::memory_order_relaxed);
  if (since == 0) return 1;
  // A stamp from after this loop turn's clock reading is of a start that has just begun.
  const uint64_t elapsed = now_ns_ > since ? now_ns_ - since : 0;
  if (elapsed >= settings_.slow_start_ns) return 1;
  return std::max(kSlowStartFloor, static_cast<double>(elapsed) / static_cast<double>(settings_.slow_start_ns));
}

uint32_t Candidates::ScanFrom(uint32_t start) {
  for (uint32_t n = 0; n < size(); ++n) {
    const uint32_t i = (start + n) % size();
    if (Usable(i)) return i;
  }
  return kNoIndex;
}

uint32_t Candidates::DrawByWeight() {
  uint32_t chosen = kNoIndex;
  uint64_t total = 0;
  for (uint32_t i = 0; i < size(); ++i) {
    if (!Usable(i)) continue;
    // Each entry replaces the one before with the probability of its share so far: all end up with their share.
    const uint64_t weight = Weight(i);
    total += weight;
    if (random_.Unit() * static_cast<double>(total) < static_cast<double>(weight)) chosen = i;
  }
  return chosen;
}

}  // namespace ub
