// The token buckets of all clients, in the shared segment: one 64-bit word each, in sets of one
// cache line.
//
// Any process takes from any bucket by compare-and-swap, so a limit holds over all workers and a
// process that is killed leaves nothing half done. The size is fixed. A word holds 20 bits that
// tell its client apart within the set and the time at which its bucket is full
// (core/token_bucket.h). Set and tag come from a hash with a secret of this segment: nobody can
// choose keys that meet a victim's. Two clients share a bucket by accident in one of 130,000 cases.
//
// When a set has no room, the entry that is full again soonest is given up: it owes the least. An
// entry that is full already is the same as none, so nothing is lost unless eight clients of one
// set are in debt at the same moment. Then the least debt is forgiven, never a client refused:
// whoever keeps to the limit is served even from a table full of attackers, and an attacker who
// makes up new keys pushes out such keys and not the entry that holds him.
//
// One cache line a request: about 30 ns, and more where a table of many MiB has fallen out of the caches.
#ifndef UB_CORE_RATE_TABLE_H_
#define UB_CORE_RATE_TABLE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/token_bucket.h"

namespace ub {

class RateTable {
 public:
  static constexpr size_t kWays = 8;  // words of a set
  static constexpr size_t kSecretBytes = 192;

  // `words`: a power of two, at least kWays, aligned to a cache line, zero at first. `secret`:
  // kSecretBytes of randomness. Both outlive the table.
  RateTable(std::span<std::atomic<uint64_t>> words, std::string_view secret)
      : words_(words), secret_(secret) {}

  // The words that hold `entries` clients: a power of two.
  static uint64_t WordsFor(uint64_t entries);

  // Takes a token from the bucket of `key`; `now` is TokenBucket::Time, `dither` random bits.
  TokenBucket::Verdict Take(std::string_view key, const TokenBucket& bucket, uint64_t now,
                            uint32_t dither) const;

 private:
  std::span<std::atomic<uint64_t>> words_;
  std::string_view secret_;
};

}  // namespace ub

#endif  // UB_CORE_RATE_TABLE_H_
