// The circuit breaker of one backend: two words in its shared slot, moved by CAS by whoever picks or reports.
//
//   closed ── failure_threshold failures in a row ──▶ open ── deadline passed, seen by a picker ──▶ half-open
//      ▲                                               ▲                                               │
//      └──────────── success_threshold successes ──────┼───────────────────────────────────────────────┤
//                                                      └──────────────── one failure ──────────────────┘
//
// Each move is one CAS that also raises the epoch. A request carries the epoch that it began in, and its report counts
// only while that epoch lasts: what was sent before the breaker opened cannot close it. The half-open tickets are a
// gauge in the segment (UpstreamGroup reserves them), so those of a killed worker come back by themselves.
//
// Called by workers on the hot path: a look is one load, the success of a healthy backend two loads.
#ifndef UB_UPSTREAM_CIRCUIT_BREAKER_H_
#define UB_UPSTREAM_CIRCUIT_BREAKER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/config.h"
#include "core/shm_layout.h"

namespace ub {

enum class CircuitState : uint8_t { kClosed, kOpen, kHalfOpen };
std::string_view CircuitStateName(CircuitState state);  // "closed", "open", "half-open"

// BackendSlot::breaker: state (2 bits), epoch (16), deadline in monotonic milliseconds (46). 0 is closed.
struct BreakerWord {
  CircuitState state = CircuitState::kClosed;
  uint16_t epoch = 0;
  uint64_t deadline_ms = 0;  // of kOpen

  static BreakerWord Unpack(uint64_t word) {
    return {static_cast<CircuitState>(word >> 62), static_cast<uint16_t>(word >> 46), word & kDeadlineMask};
  }
  uint64_t Pack() const {
    return uint64_t{static_cast<uint8_t>(state)} << 62 | uint64_t{epoch} << 46 | (deadline_ms & kDeadlineMask);
  }
  static constexpr uint64_t kDeadlineMask = (uint64_t{1} << 46) - 1;
};

// What a picker may do with the backend.
enum class BreakerGate : uint8_t {
  kPass,    // closed
  kTicket,  // half-open, or open and due to be: one of the few tickets is needed
  kShut,    // open
};

// A view of one slot's words with the settings in force. Costs nothing to make.
class CircuitBreaker {
 public:
  CircuitBreaker(BackendSlot& slot, const CircuitBreakerConfig& config) : slot_(slot), config_(config) {}

  BreakerGate Look(uint64_t now_ns) const {
    if (!config_.enabled) return BreakerGate::kPass;
    const uint64_t word = slot_.breaker.load(std::memory_order_acquire);
    return word >> 62 == 0 ? BreakerGate::kPass : LookSlowly(word, now_ns);
  }
  BreakerWord Load() const { return BreakerWord::Unpack(slot_.breaker.load(std::memory_order_seq_cst)); }

  // Open and due: makes it half-open, unless somebody else just did. True where the state is half-open now; *moved
  // where it was this call that made it so.
  bool BeginHalfOpen(uint64_t now_ns, bool* moved);
  // How a request that began in `epoch` went. Whoever moves the state learns it, and nobody else: a success from
  // half-open to closed (true), a failure from the state that is returned to open.
  bool OnSuccess(uint16_t epoch);
  std::optional<CircuitState> OnFailure(uint16_t epoch, uint64_t now_ns);

  // Closed again, whatever it was; reports under way are ignored. For an address that comes back.
  static void Reset(std::atomic<uint64_t>& breaker);

 private:
  BreakerGate LookSlowly(uint64_t word, uint64_t now_ns) const;
  // Adds one to a count of `epoch` and gives the new value; 0 where the epoch is over.
  uint32_t Count(uint16_t epoch, bool success);
  bool Move(BreakerWord from, CircuitState to, uint64_t deadline_ms);

  BackendSlot& slot_;
  const CircuitBreakerConfig& config_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_CIRCUIT_BREAKER_H_
