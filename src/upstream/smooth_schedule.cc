#include "upstream/smooth_schedule.h"

#include <algorithm>
#include <numeric>

namespace ub {

namespace {

// Turns lost to unusable entries before the usable ones are weighed one by one.
constexpr int kMaxSkipped = 16;

// std::push_heap keeps the greatest on top; this makes it the earliest, of equals the first entry.
constexpr auto kEarliestOnTop = [](const auto& a, const auto& b) {
  return a.when != b.when ? a.when > b.when : a.index > b.index;
};

template <class Heap, class Turn>
void Push(Heap& heap, Turn turn) {
  heap.push_back(turn);
  std::push_heap(heap.begin(), heap.end(), kEarliestOnTop);
}

template <class Heap>
auto Pop(Heap& heap) {
  std::pop_heap(heap.begin(), heap.end(), kEarliestOnTop);
  const auto turn = heap.back();
  heap.pop_back();
  return turn;
}

}  // namespace

SmoothSchedule::SmoothSchedule(std::span<const ViewEntry> entries, uint64_t phase)
    : given_(entries.size()), credit_(entries.size()) {
  uint32_t divisor = 0;
  for (const ViewEntry& entry : entries) divisor = std::gcd(divisor, entry.weight);
  for (const ViewEntry& entry : entries) {
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): every weight is at least 1
    weights_.push_back(entry.weight / divisor);
    cycle_ += weights_.back();
  }
  pending_.reserve(entries.size());
  ready_.reserve(entries.size());
  if (entries.empty()) return;
  StartCycle();
  const uint64_t skip = phase % std::min<uint64_t>(cycle_, entries.size());
  for (uint64_t n = 0; n < skip; ++n) Next();
}

void SmoothSchedule::StartCycle() {
  now_ = 0;
  pending_.clear();
  ready_.clear();
  for (uint32_t i = 0; i < weights_.size(); ++i) {
    given_[i] = 0;
    Push(pending_, Turn{0, i});
  }
}

uint32_t SmoothSchedule::Next() {
  if (now_ == cycle_) StartCycle();
  while (!pending_.empty() && pending_.front().when <= now_) {
    const uint32_t i = Pop(pending_).index;
    const uint64_t closes = ((given_[i] + uint64_t{1}) * cycle_ + weights_[i] - 1) / weights_[i];
    Push(ready_, Turn{closes, i});
  }
  const uint32_t i = Pop(ready_).index;
  ++now_;
  if (++given_[i] < weights_[i]) Push(pending_, Turn{given_[i] * cycle_ / weights_[i], i});
  return i;
}

uint32_t SmoothSchedule::Pick(Candidates& among) {
  for (int n = 0; n < kMaxSkipped; ++n) {
    const uint32_t i = Next();
    if (among.Permits(i)) return i;
  }
  return PickByWalk(among);
}

// The same shares by credit: everyone usable earns its weight, the richest is chosen and pays for all.
uint32_t SmoothSchedule::PickByWalk(Candidates& among) {
  uint32_t richest = kNoIndex;
  int64_t total = 0;
  for (uint32_t i = 0; i < among.size(); ++i) {
    if (!among.Usable(i)) {
      credit_[i] = 0;
      continue;
    }
    credit_[i] += among.Weight(i);
    total += among.Weight(i);
    if (richest == kNoIndex || credit_[i] > credit_[richest]) richest = i;
  }
  if (richest != kNoIndex) credit_[richest] -= total;
  return richest;
}

}  // namespace ub
