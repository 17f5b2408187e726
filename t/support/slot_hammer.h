// What hammers the shared slots in the property tests: a worker that takes, settles and gives back
// places, tickets and connections at random, a controller that changes the table under it, and the
// witness that tells whether a limit was ever broken.
//
// Run in processes that are killed (t/unit/upstream/shared_slots_test.cc) and in threads under
// ThreadSanitizer (t/tsan).
#ifndef UB_T_SUPPORT_SLOT_HAMMER_H_
#define UB_T_SUPPORT_SLOT_HAMMER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/shm_segment.h"
#include "upstream/backend_table.h"

namespace ub::hammer {

inline constexpr uint32_t kHands =
    6;  // workers at once; each is told by its index, whatever row it has
inline constexpr uint32_t kLeases = 4;  // that a worker holds at most
inline constexpr uint32_t kSlots = 6;   // of the table
inline constexpr uint32_t kAddresses = 9;
inline constexpr uint32_t kMaxConnections = 2;  // of every backend
inline constexpr uint32_t kMaxClients = 8;      // client connections over all
inline constexpr ShmLimits kLimits{.processes = kHands + 2, .backends = kSlots, .sockets = 1};

enum Violation : uint32_t {
  kTooManyInFlight = 1,
  kTooManyTickets = 2,
  kTooManyClients = 4,
  kSlotReusedUnderALease = 8,
  kEpochWentBack = 16,
  kBadWord = 32,
  kGaugesDrifted = 64,
};

// Lives in memory that all share. A holder tells of a place after it took it and before it gives it
// back, so that the witness never counts too many; one word a limit, a bit a place, so that a look
// at it is a true moment.
struct Witness {
  std::atomic<uint64_t> in_flight[kSlots];
  std::atomic<uint64_t> tickets[kSlots];
  std::atomic<uint64_t> clients;
  std::atomic<uint32_t> violations;  // Violation bits
  std::atomic<uint64_t> granted, half_open, refused, table_changes;
  std::atomic<uint32_t> stop;
  std::atomic<uint32_t> abandon[kHands + 1];  // threads: leave now, with everything in hand

  // Whoever had `index` is dead and waited for: call before its row is released.
  void Forget(uint32_t index);
  std::string Summary() const;
};

// Settings with which breakers open and half-open all the time.
Config MakeConfig(uint32_t variant);
// A clock that runs fast, so that breakers' time-outs of a second pass in milliseconds.
uint64_t NowNs();
// Address number `n`.
BackendSpec Spec(uint32_t n);

// Until the witness says stop (then everything is given back) or abandon (then nothing is).
void Work(ShmSegment& shm, uint32_t row, uint32_t index, Witness& witness, uint64_t seed);
// The table's writer, until stop or abandon.
void ChangeTable(ShmSegment& shm, Witness& witness, uint64_t seed);

// Once all have ended by themselves, before their rows are released: which gauge does not read 0;
// "" where all do.
std::string GaugesLeft(const ShmSegment& shm);
// Once their rows are released: a new worker gets every place and every ticket there is, and no
// more. What is wrong with that; "" where nothing is.
std::string Leftovers(ShmSegment& shm);

}  // namespace ub::hammer

#endif  // UB_T_SUPPORT_SLOT_HAMMER_H_
