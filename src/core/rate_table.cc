#include "core/rate_table.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace ub {
namespace {

static_assert(RateTable::kSecretBytes >= XXH3_SECRET_SIZE_MIN);

struct Place {
  size_t way;
  uint64_t seen;
  bool found;
};

// The way that holds `tag`, or the one to be given up for it.
Place Find(std::span<std::atomic<uint64_t>> set, uint64_t tag, uint64_t now) {
  Place place{0, 0, false};
  uint64_t least = UINT64_MAX;
  for (size_t way = 0; way < set.size(); ++way) {
    const uint64_t word = set[way].load(std::memory_order_relaxed);
    const uint64_t owner = word >> TokenBucket::kTimeBits;
    if (owner == tag) return {way, word, true};
    const uint64_t debt = owner == 0 ? 0 : TokenBucket::Ahead(word & TokenBucket::kTimeMask, now);
    if (debt < least) {
      least = debt;
      place = {way, word, false};
    }
  }
  return place;
}

}  // namespace

uint64_t RateTable::WordsFor(uint64_t entries) {
  return std::bit_ceil(std::max<uint64_t>(entries, kWays));
}

TokenBucket::Verdict RateTable::Take(std::string_view key, const TokenBucket& bucket, uint64_t now,
                                     uint32_t dither) const {
  const uint64_t hash =
      XXH3_64bits_withSecret(key.data(), key.size(), secret_.data(), secret_.size());
  const uint64_t sets = words_.size() / kWays;
  const auto set = words_.subspan((hash & (sets - 1)) * kWays, kWays);
  const uint64_t tag = std::max<uint64_t>(hash >> TokenBucket::kTimeBits, 1);  // 0: no owner
  // Lock-free: a swap fails only because another process's succeeded.
  for (;;) {
    Place place = Find(set, tag, now);
    const uint64_t until = place.found ? place.seen & TokenBucket::kTimeMask : now;
    const TokenBucket::Verdict verdict = bucket.Take(until, now, dither);
    const uint64_t word = tag << TokenBucket::kTimeBits | verdict.until;
    if (word == place.seen) return verdict;
    if (set[place.way].compare_exchange_strong(place.seen, word, std::memory_order_relaxed)) {
      return verdict;
    }
  }
}

}  // namespace ub
