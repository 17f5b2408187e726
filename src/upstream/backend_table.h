// The writer's side of the backend table: adds, edits and removes slots of the shared segment.
//
// Lives in the controller; the master uses one, once, before any fork. There is one writer at a time. The writer may be
// killed between any two instructions: the fields of a slot are written first and its state last, the table's version
// after everything, and the next writer's first Apply compares each slot with what it should be and bumps the version
// again. Costs O(slots) an Apply; single changes cost one scan. Workers read it through BackendView.
#ifndef UB_UPSTREAM_BACKEND_TABLE_H_
#define UB_UPSTREAM_BACKEND_TABLE_H_

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/shm_segment.h"
#include "core/status.h"
#include "upstream/backend_view.h"

namespace ub {

// One address that a pool should have.
struct BackendSpec {
  sockaddr_storage address{};
  socklen_t bytes = 0;
  std::string text;   // "10.0.0.1:80"
  std::string given;  // as configured: "app1:80" may stand for several addresses
  std::string host;   // of that: a name, an address literal, a path
  std::string name;   // for people; empty: the text
  uint32_t weight = 100;
  uint32_t max_connections = 0;
  uint32_t order = 0;
  bool backup = false;
  bool h2 = false;
  AdminState admin = AdminState::kReady;
};

class BackendTable {
 public:
  explicit BackendTable(ShmSegment& shm) : shm_(shm) {}

  // Makes `specs` the backends of `pool`, with one bump of the version. An address that stays keeps its slot, health,
  // breaker and counters; of an address given twice the first counts.
  //   kExhausted, not retryable: they cannot fit; nothing was changed.
  //   kExhausted, retryable: removed slots are still in use; what fits is in force, call again in a moment.
  //   kInvalid: an address is longer than a slot holds; nothing was changed.
  Status Apply(uint32_t pool, std::span<const BackendSpec> specs);

  // One backend more. kExists where the pool has the address.
  Status Add(uint32_t pool, const BackendSpec& spec);
  // The rest take a slot that Find or the caller's own scan gave; kNotFound where it is not active.
  Status Remove(uint32_t slot);
  // Slow start begins at `since_ns` (0: none). Health words are the prober's and need no version.
  Status SetSlowStart(uint32_t slot, uint64_t since_ns);

  // The active slot of `pool` with that address text; kNoSlot.
  uint32_t Find(uint32_t pool, std::string_view address_text) const;

  // Whether a removed slot may be given to another address: nothing in flight, and every worker works by a table
  // that lacks it. Public for the tests and the status page.
  bool Reusable(uint32_t slot) const;

 private:
  using Index = std::unordered_map<std::string, uint32_t>;  // key of (pool, address) → slot, removed ones too

  Index BuildIndex();
  bool WouldFit(const Index& index, uint32_t pool, std::span<const BackendSpec> specs) const;
  uint32_t TakeSlot();
  Status Place(const Index& index, uint32_t pool, const BackendSpec& spec);
  void Fill(uint32_t slot, uint32_t pool, const BackendSpec& spec);
  void Revive(uint32_t slot, const BackendSpec& spec);
  void Edit(uint32_t slot, const BackendSpec& spec);
  void Retire(uint32_t slot);
  bool Active(uint32_t slot) const;
  uint64_t NextVersion() const;
  void Publish();

  ShmSegment& shm_;
  std::vector<uint32_t> spare_;  // slots below the high water mark that BuildIndex saw free or removed
};

}  // namespace ub

#endif  // UB_UPSTREAM_BACKEND_TABLE_H_
