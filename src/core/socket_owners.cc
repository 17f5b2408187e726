#include "core/socket_owners.h"

#include <algorithm>
#include <utility>

#include "core/shm_layout.h"

namespace ub {

std::vector<uint32_t> AssignOwners(const std::vector<uint32_t>& owners,
                                   const std::vector<uint32_t>& rows) {
  std::vector<uint32_t> result(owners.size(), kNoRow);
  if (rows.empty()) return result;

  struct Share {
    uint32_t row;
    size_t has, room;
  };
  std::vector<Share> shares;
  shares.reserve(rows.size());
  for (const uint32_t row : rows) {
    shares.push_back({row, static_cast<size_t>(std::count(owners.begin(), owners.end(), row)), 0});
  }
  // The odd ones out go to those who have most already: nothing moves for them.
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.has > b.has; });
  const size_t each = owners.size() / rows.size();
  const size_t odd = owners.size() % rows.size();
  for (size_t i = 0; i < shares.size(); ++i) shares[i].room = each + (i < odd ? 1 : 0);

  for (size_t i = 0; i < owners.size(); ++i) {
    for (Share& share : shares) {
      if (share.row == owners[i] && share.room > 0) {
        result[i] = owners[i];
        --share.room;
      }
    }
  }
  size_t next = 0;
  for (uint32_t& owner : result) {
    if (owner != kNoRow) continue;
    // Round robin over who has room, so that neighbouring sockets go to different workers.
    while (shares[next % shares.size()].room == 0) ++next;
    Share& share = shares[next++ % shares.size()];
    owner = share.row;
    --share.room;
  }
  return result;
}

}  // namespace ub
