// How many connections each client address has, over all workers (limits.connections_per_client).
//
// A count-min sketch of gauges in the shared segment: an address is hashed, with a secret, to one gauge in each of
// kLevels rows of kWidth, and the least of its gauges' sums over all living processes is what it is counted at. Taking a place is
// the reservation primitive (core/admission.h) over those gauges: publish, then check, then step back. So
//   - the limit is never exceeded: every gauge of an address counts at least its own connections;
//   - an address is counted too high, and refused early, only where each of its gauges is shared with other busy ones: with
//     1,000 other addresses at their limits, once in some 5,000;
//   - nothing is left of a process that was killed: its gauges lie in its row, which the master takes out of every sum.
// No lock, no entries to free, no table that is ever full.
//
// IPv6 addresses count by their /64 network, which is what one subscriber is given. Worker process, one object each; costs
// kLevels locked instructions a connection and kLevels loads a living process; 128 KiB a process where it is used.
#ifndef UB_CORE_CLIENT_PLACES_H_
#define UB_CORE_CLIENT_PLACES_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "core/shm_segment.h"

namespace ub {

class ClientPlaces {
 public:
  static constexpr uint32_t kLevels = kClientLevels;
  static constexpr uint32_t kWidth = kClientWidth;

  // `row`: this process's.
  ClientPlaces(const ShmSegment& shm, uint32_t row) : shm_(shm), row_(row) {}

  // A client as it is counted: never 0. `address`: 4 or 16 bytes in network order.
  uint64_t Key(std::string_view address) const;
  // Takes a place for `key` where it then has at most `limit` (not 0). False: it has them all.
  bool Take(uint64_t key, uint32_t limit) const;
  // Gives back what Take took.
  void Give(uint64_t key) const;
  // Connections of `key` over all living processes, counted as Take counts them.
  uint32_t Count(uint64_t key) const;

 private:
  static uint32_t Place(uint64_t key, uint32_t level);
  void Add(uint64_t key, uint32_t by) const;

  const ShmSegment& shm_;
  const uint32_t row_;
};

}  // namespace ub

#endif  // UB_CORE_CLIENT_PLACES_H_
