// The one reservation primitive: "at most K over all processes", without a lock and without a
// shared counter.
//
// Every process has a gauge of its own in the shared segment. To take a place it first publishes,
// then checks: adds one to its gauge, sums the gauges of all living processes, and steps back where
// the sum is above the limit. Of two processes at the last place at least one sees the other (both
// accesses are seq_cst), so the limit is never exceeded; and nothing is left behind by a process
// that is killed in between, because a dead process's gauges do not count (ShmSegment::ReleaseRow).
//
// Used by workers for client connections, requests in flight and half-open tickets. Costs one
// locked instruction and one load a living process; a refusal costs loads only.
#ifndef UB_CORE_ADMISSION_H_
#define UB_CORE_ADMISSION_H_

#include <atomic>
#include <cstdint>

#include "core/random.h"
#include "core/shm_segment.h"

namespace ub {

inline constexpr int kReserveAttempts = 64;

inline void CpuPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Takes one place in `gauge(row)` where the sum over living processes stays within `limit` (0: no
// limit). `gauge(r)` is the std::atomic<uint32_t>& of row r; only the process of `row` may call
// this for it.
//
// Stepping back must not leave a free place unused when two competitors see each other and both
// retreat. Whoever retreats looks again: while the sum is below the limit it tries again, after a
// random pause so that the two do not dance in step. The last one to retreat always sees the truth,
// so somebody takes the place.
template <class Gauge>
bool Reserve(const ShmSegment& shm, uint32_t row, Gauge gauge, uint32_t limit) {
  std::atomic<uint32_t>& own = gauge(row);
  if (limit == 0) {
    own.fetch_add(1, std::memory_order_seq_cst);
    return true;
  }
  for (int attempt = 0; attempt < kReserveAttempts; ++attempt) {
    if (shm.SumLive(gauge) >= limit) return false;
    own.fetch_add(1, std::memory_order_seq_cst);
    if (shm.SumLive(gauge) <= limit) return true;
    own.fetch_sub(1, std::memory_order_seq_cst);
    // Seeded by place and attempt: rows differ, and no state is needed between calls.
    Random random((uint64_t{row} << 32) ^ static_cast<uint64_t>(attempt) ^
                  reinterpret_cast<uintptr_t>(&own));
    const uint32_t pauses = random.Below(4u << (attempt < 8 ? attempt : 8));
    for (uint32_t i = 0; i < pauses; ++i) CpuPause();
  }
  return false;
}

// Gives a place back.
inline void Unreserve(std::atomic<uint32_t>& own) { own.fetch_sub(1, std::memory_order_seq_cst); }

// Client connections of all workers (`max_connections`).
inline bool ReserveConnection(const ShmSegment& shm, uint32_t row, uint32_t limit) {
  return Reserve(
      shm, row, [&shm](uint32_t r) -> std::atomic<uint32_t>& { return shm.row(r).connections; },
      limit);
}

// Requests in flight to one backend.
inline bool ReserveInFlight(const ShmSegment& shm, uint32_t row, uint32_t backend, uint32_t limit) {
  return Reserve(
      shm, row,
      [&shm, backend](uint32_t r) -> std::atomic<uint32_t>& { return shm.in_flight(r, backend); },
      limit);
}

}  // namespace ub

#endif  // UB_CORE_ADMISSION_H_
