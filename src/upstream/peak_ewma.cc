#include "upstream/peak_ewma.h"

#include <algorithm>

namespace ub {

namespace {

constexpr int kStampShift = 20;
constexpr int kValueShift = 8;

uint32_t Stamp(uint64_t now_ns) { return static_cast<uint32_t>(now_ns >> kStampShift); }

constexpr uint32_t kAhead = 4096;  // some seconds

// Time units since the stamp, which wraps after 52 days. Another process's clock reading may be a little ahead: that is no
// time at all.
uint32_t Age(uint64_t word, uint32_t now) {
  const uint32_t age = now - static_cast<uint32_t>(word);
  return age > UINT32_MAX - kAhead ? 0 : age;
}

// The weight that a value of that age has left: e^-x, as (1 - x/64)^64, which is right to a percent while it matters
// and takes a fraction of the time.
double Left(uint32_t age) {
  const double x = static_cast<double>(uint64_t{age} << kStampShift) * (1 / PeakEwma::kTauNs);
  if (x >= 8) return 0;
  double left = 1 - x / 64;
  for (int n = 0; n < 6; ++n) left *= left;
  return left;
}

}  // namespace

double PeakEwma::Estimate(uint64_t now_ns, double rival) const {
  if (word_ == 0) return rival > 0 ? rival : 1;
  if (rival <= 0) return Value();
  return rival + (Value() - rival) * Left(Age(word_, Stamp(now_ns)));
}

void PeakEwma::Record(std::atomic<uint64_t>& word, uint64_t response_ns, uint64_t now_ns, bool peak_only) {
  const uint64_t sample = std::clamp<uint64_t>(response_ns >> kValueShift, 1, UINT32_MAX);
  const uint32_t now = Stamp(now_ns);
  uint64_t old = word.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t value = old >> 32;
    const uint32_t age = Age(old, now);
    uint64_t next = sample;
    if (old != 0 && sample <= value) {
      // No time has passed, so a lower sample has no weight yet: the next one after the tick speaks for it.
      if (peak_only || age == 0) return;
      const double left = Left(age);
      // NOLINTNEXTLINE(bugprone-incorrect-roundings): never negative, and below 2^32
      next = static_cast<uint64_t>(static_cast<double>(value) * left + static_cast<double>(sample) * (1 - left) + 0.5);
      // At least one unit down: a tick's share of a small difference would be rounded to nothing for ever.
      if (sample < value) next = std::min(next, value - 1);
    }
    if (word.compare_exchange_weak(old, next << 32 | now, std::memory_order_relaxed)) return;
  }
}

}  // namespace ub
