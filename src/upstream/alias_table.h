// Draws an index by weight in O(1): Walker's alias method, built by Vose's way in O(n). 8 bytes an entry.
//
// For random, power-of-two and fastest-response; built with the view.
#ifndef UB_UPSTREAM_ALIAS_TABLE_H_
#define UB_UPSTREAM_ALIAS_TABLE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"
#include "upstream/backend_view.h"

namespace ub {

class AliasTable {
 public:
  explicit AliasTable(std::span<const ViewEntry> entries);

  // The table must not be empty.
  uint32_t Draw(Random& random) const {
    const uint64_t bits = random.Next();
    const uint64_t column = ((bits >> 32) * columns_.size()) >> 32;
    const Column& at = columns_[column];
    return static_cast<uint32_t>(bits) < at.keep ? static_cast<uint32_t>(column) : at.alias;
  }
  double mean_weight() const { return mean_weight_; }

 private:
  struct Column {
    uint32_t keep;   // of 2^32: the column's own index, else its alias
    uint32_t alias;
  };
  std::vector<Column> columns_;
  double mean_weight_ = 1;
};

}  // namespace ub

#endif  // UB_UPSTREAM_ALIAS_TABLE_H_
