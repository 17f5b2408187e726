#include "upstream/balance_ip_hash.h"

#include <algorithm>

#include "core/clock.h"

namespace ub {

namespace {

// The sums are at least this old before they are made anew, and older with many backends: 1 % of the time at most.
constexpr uint64_t kMinSumAgeNs = MsToNs(1);
constexpr uint64_t kSumAgePerBackendNs = 2'000;

uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// The place in the table of a key's n-th choice.
uint32_t PlaceOf(uint64_t key, uint32_t n) {
  return static_cast<uint32_t>(Mix(key + n * 0x9e3779b97f4a7c15u) % BalanceIpHash::kTableSize);
}

}  // namespace

BalanceIpHash::BalanceIpHash(std::span<const ViewEntry> entries, uint64_t /*phase*/) : sums_(entries.size()) {
  if (entries.empty()) return;
  uint64_t total = 0;
  for (const ViewEntry& entry : entries) total += entry.weight;
  mean_weight_ = static_cast<double>(total) / static_cast<double>(entries.size());
  Fill(entries);
}

void BalanceIpHash::Fill(std::span<const ViewEntry> entries) {
  // Each backend walks the table from its own offset by its own step and claims the first free place. Backends are
  // taken in the order of their identity, so that the table does not depend on the order of the configuration.
  struct Walker {
    uint64_t identity;
    uint32_t index, place, step;
    double share, claim;  // places a round; claims saved up
  };
  std::vector<Walker> walkers;
  uint32_t heaviest = 1;
  for (const ViewEntry& entry : entries) heaviest = std::max(heaviest, entry.weight);
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const uint64_t identity = entries[i].identity;
    walkers.push_back({identity, i, static_cast<uint32_t>(Mix(identity) % kTableSize),
                       static_cast<uint32_t>(Mix(~identity) % (kTableSize - 1) + 1),
                       static_cast<double>(entries[i].weight) / heaviest, 0});
  }
  std::sort(walkers.begin(), walkers.end(), [](const Walker& a, const Walker& b) { return a.identity < b.identity; });

  table_.assign(kTableSize, kNoIndex);
  uint32_t left = kTableSize;
  while (left > 0) {
    for (Walker& walker : walkers) {
      walker.claim += walker.share;
      if (walker.claim < 1) continue;
      walker.claim -= 1;
      while (table_[walker.place] != kNoIndex) walker.place = (walker.place + walker.step) % kTableSize;
      table_[walker.place] = walker.index;
      if (--left == 0) break;
    }
  }
}

void BalanceIpHash::SumUp(Candidates& among) {
  const uint64_t max_age = std::max(kMinSumAgeNs, among.size() * kSumAgePerBackendNs);
  if (summed_ && among.now_ns() - summed_at_ns_ < max_age) {
    in_flight_ += 1;  // picks since; those that ended meanwhile err towards a looser bound
    return;
  }
  summed_ = true;
  summed_at_ns_ = among.now_ns();
  among.view().SumInFlight(among.entries(), sums_);
  in_flight_ = 1;
  usable_weight_ = 0;
  for (uint32_t i = 0; i < among.size(); ++i) {
    in_flight_ += sums_[i];
    if (Candidates::Serving(among.view(), among[i], among.settings(), among.now_ns())) {
      usable_weight_ += among[i].weight;
    }
  }
}

uint32_t BalanceIpHash::Pick(Candidates& among, uint64_t key, Random& /*random*/) {
  SumUp(among);
  const double fair = usable_weight_ > 0 ? kLoadBound * in_flight_ / usable_weight_ : 0;
  const double bound = std::max(fair, kLoadFloor / mean_weight_);  // requests in flight for one unit of weight
  uint32_t best = kNoIndex;
  double best_load = 0;
  for (uint32_t n = 0; n < kMaxProposals; ++n) {
    const uint32_t i = table_[PlaceOf(key, n)];
    if (i == best || !among.Permits(i)) continue;
    const double load = among.InFlight(i) / static_cast<double>(among[i].weight);
    if (load < bound) return i;
    if (best == kNoIndex || load < best_load) {
      best = i;
      best_load = load;
    }
  }
  if (best != kNoIndex) return best;
  return among.ScanFrom(static_cast<uint32_t>(Mix(key) % among.size()));
}

}  // namespace ub
