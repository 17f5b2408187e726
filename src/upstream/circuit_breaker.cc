#include "upstream/circuit_breaker.h"

#include <algorithm>

namespace ub {

namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint32_t kCountMax = (1u << 24) - 1;

// BackendSlot::breaker_counts: the epoch that they belong to (16 bits), failures in a row (24), successes (24).
struct Counts {
  uint16_t epoch;
  uint32_t failures, successes;

  static Counts Unpack(uint64_t word) {
    return {static_cast<uint16_t>(word >> 48), static_cast<uint32_t>(word >> 24) & kCountMax,
            static_cast<uint32_t>(word) & kCountMax};
  }
  uint64_t Pack() const { return uint64_t{epoch} << 48 | uint64_t{failures} << 24 | successes; }
};

// Epochs wrap: half a circle ahead counts as later.
bool Later(uint16_t a, uint16_t b) {
  const auto ahead = static_cast<uint16_t>(a - b);
  return ahead != 0 && ahead < 0x8000;
}

}  // namespace

std::string_view CircuitStateName(CircuitState state) {
  switch (state) {
    case CircuitState::kClosed: return "closed";
    case CircuitState::kOpen: return "open";
    case CircuitState::kHalfOpen: return "half-open";
  }
  return "closed";
}

BreakerGate CircuitBreaker::LookSlowly(uint64_t packed, uint64_t now_ns) const {
  const BreakerWord word = BreakerWord::Unpack(packed);
  if (word.state == CircuitState::kHalfOpen) return BreakerGate::kTicket;
  return now_ns / kNsPerMs >= word.deadline_ms ? BreakerGate::kTicket : BreakerGate::kShut;
}

bool CircuitBreaker::Move(BreakerWord from, CircuitState to, uint64_t deadline_ms) {
  uint64_t expected = from.Pack();
  const BreakerWord next{to, static_cast<uint16_t>(from.epoch + 1), deadline_ms};
  return slot_.breaker.compare_exchange_strong(expected, next.Pack(), std::memory_order_seq_cst);
}

bool CircuitBreaker::BeginHalfOpen(uint64_t now_ns, bool* moved) {
  *moved = false;
  const BreakerWord word = Load();
  if (word.state == CircuitState::kHalfOpen) return true;
  if (word.state == CircuitState::kClosed || now_ns / kNsPerMs < word.deadline_ms) return false;
  // Losing the race means that another picker began it, or even ended it already.
  *moved = Move(word, CircuitState::kHalfOpen, 0);
  return *moved || Load().state == CircuitState::kHalfOpen;
}

uint32_t CircuitBreaker::Count(uint16_t epoch, bool success) {
  uint64_t packed = slot_.breaker_counts.load(std::memory_order_acquire);
  for (;;) {
    Counts counts = Counts::Unpack(packed);
    if (Later(counts.epoch, epoch)) return 0;
    if (counts.epoch != epoch) counts = Counts{epoch, 0, 0};  // left over from an epoch that ended
    uint32_t& count = success ? counts.successes : counts.failures;
    count = std::min(count + 1, kCountMax);
    if (slot_.breaker_counts.compare_exchange_weak(packed, counts.Pack(), std::memory_order_acq_rel,
                                                   std::memory_order_acquire)) {
      return count;
    }
  }
}

bool CircuitBreaker::OnSuccess(uint16_t epoch) {
  if (!config_.enabled) return false;
  const BreakerWord word = Load();
  if (word.epoch != epoch) return false;
  if (word.state == CircuitState::kHalfOpen) {
    return Count(epoch, true) >= config_.success_threshold && Move(word, CircuitState::kClosed, 0);
  }
  // Closed: failures in a row end here. Nothing is written while there are none.
  uint64_t packed = slot_.breaker_counts.load(std::memory_order_acquire);
  while (Counts::Unpack(packed).epoch == epoch && Counts::Unpack(packed).failures != 0) {
    if (slot_.breaker_counts.compare_exchange_weak(packed, Counts{epoch, 0, 0}.Pack(), std::memory_order_acq_rel,
                                                   std::memory_order_acquire)) {
      break;
    }
  }
  return false;
}

std::optional<CircuitState> CircuitBreaker::OnFailure(uint16_t epoch, uint64_t now_ns) {
  if (!config_.enabled) return std::nullopt;
  const BreakerWord word = Load();
  if (word.epoch != epoch || word.state == CircuitState::kOpen) return std::nullopt;
  const uint64_t deadline_ms = now_ns / kNsPerMs + uint64_t{config_.timeout_seconds} * 1000;
  // ">=", not "==": whoever counted to the threshold may have been killed before it moved the state.
  // Counted in either state: the counts' epoch must not fall so far behind that it looks like a later one.
  const uint32_t failures = Count(epoch, false);
  const bool enough = word.state == CircuitState::kHalfOpen || failures >= config_.failure_threshold;
  if (!enough || !Move(word, CircuitState::kOpen, deadline_ms)) return std::nullopt;
  return word.state;
}

void CircuitBreaker::Reset(std::atomic<uint64_t>& breaker) {
  uint64_t packed = breaker.load(std::memory_order_acquire);
  for (;;) {
    const BreakerWord next{CircuitState::kClosed, static_cast<uint16_t>(BreakerWord::Unpack(packed).epoch + 1), 0};
    if (breaker.compare_exchange_weak(packed, next.Pack(), std::memory_order_acq_rel, std::memory_order_acquire)) {
      return;
    }
  }
}

}  // namespace ub
