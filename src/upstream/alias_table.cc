#include "upstream/alias_table.h"

namespace ub {

AliasTable::AliasTable(std::span<const ViewEntry> entries) : columns_(entries.size()) {
  if (entries.empty()) return;
  const size_t n = entries.size();
  uint64_t total = 0;
  for (const ViewEntry& entry : entries) total += entry.weight;
  mean_weight_ = static_cast<double>(total) / static_cast<double>(n);

  // Scaled so that the mean is `total` and everything stays an integer: share[i] = weight · n.
  std::vector<uint64_t> share(n);
  std::vector<uint32_t> small, large;
  for (uint32_t i = 0; i < n; ++i) {
    share[i] = entries[i].weight * uint64_t{n};
    (share[i] < total ? small : large).push_back(i);
  }
  while (!small.empty()) {
    const uint32_t low = small.back();
    const uint32_t high = large.back();  // below the mean there is one, so above or at it there is one too
    small.pop_back();
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): every weight is at least 1
    columns_[low] = {static_cast<uint32_t>((static_cast<unsigned __int128>(share[low]) << 32) / total), high};
    share[high] -= total - share[low];
    if (share[high] < total) {
      large.pop_back();
      small.push_back(high);
    }
  }
  for (const uint32_t i : large) columns_[i] = {UINT32_MAX, i};
}

}  // namespace ub
