#include "core/client_places.h"

#include <xxhash.h>

#include <algorithm>

#include "core/admission.h"

namespace ub {
namespace {

constexpr size_t kSubscriberBytes = 8;  // of an IPv6 address: the /64

}  // namespace

uint64_t ClientPlaces::Key(std::string_view address) const {
  if (address.size() == 16) address = address.substr(0, kSubscriberBytes);
  const ShmHeader& header = shm_.header();
  const uint64_t key =
      XXH3_64bits_withSecret(address.data(), address.size(), header.rate_secret, sizeof header.rate_secret);
  return key == 0 ? 1 : key;
}

// Each level reads its own bits of the key.
uint32_t ClientPlaces::Place(uint64_t key, uint32_t level) {
  static_assert(kWidth <= 1u << (64 / kLevels));
  return level * kWidth + static_cast<uint32_t>(key >> (level * (64 / kLevels))) % kWidth;
}

uint32_t ClientPlaces::Count(uint64_t key) const {
  uint32_t least = UINT32_MAX;
  for (uint32_t level = 0; level < kLevels; ++level) {
    const uint32_t place = Place(key, level);
    least = std::min(least, shm_.SumLive([&](uint32_t r) -> const std::atomic<uint32_t>& {
      return shm_.client_gauge(r, place);
    }));
  }
  return least;
}

void ClientPlaces::Add(uint64_t key, uint32_t by) const {
  // Before the first gauge: a process that dies in between leaves nothing that is not zeroed.
  std::atomic<uint32_t>& used = shm_.header().client_gauges_used;
  if (used.load(std::memory_order_relaxed) == 0) used.store(1);
  for (uint32_t level = 0; level < kLevels; ++level) {
    shm_.client_gauge(row_, Place(key, level)).fetch_add(by, std::memory_order_seq_cst);
  }
}

void ClientPlaces::Give(uint64_t key) const { Add(key, UINT32_MAX); }

// As Reserve() does it for one gauge: see there for why the last of several competitors gets the place.
bool ClientPlaces::Take(uint64_t key, uint32_t limit) const {
  for (int attempt = 0; attempt < kReserveAttempts; ++attempt) {
    if (Count(key) >= limit) return false;
    Add(key, 1);
    if (Count(key) <= limit) return true;
    Give(key);
    Random random((uint64_t{row_} << 32) ^ static_cast<uint64_t>(attempt) ^ key);
    const uint32_t pauses = random.Below(4u << std::min(attempt, 8));
    for (uint32_t i = 0; i < pauses; ++i) CpuPause();
  }
  return false;
}

}  // namespace ub
