// Who accepts from which listening socket: a fair split of an address's sockets over the workers
// that moves as few as possible when a worker comes or goes. A pure function; the master writes the
// result to the segment.
#ifndef UB_CORE_SOCKET_OWNERS_H_
#define UB_CORE_SOCKET_OWNERS_H_

#include <cstdint>
#include <vector>

namespace ub {

// `owners[i]`: row that accepts from the address's i-th socket now (kNoRow: nobody). `rows`: the
// workers that may accept. Returns the new owners: every socket has one (kNoRow where `rows` is
// empty), shares differ by at most one, and a socket moves only where its owner left or has more
// than its share.
std::vector<uint32_t> AssignOwners(const std::vector<uint32_t>& owners,
                                   const std::vector<uint32_t>& rows);

}  // namespace ub

#endif  // UB_CORE_SOCKET_OWNERS_H_
