// One pool of backends as a worker sees it: pick a backend and reserve a place there, report how it went.
//
// Facade over the backend table (shared), this worker's view of it, the balancing policy, the circuit breaker and
// admission. One object a pool and worker; single-threaded. Lives as long as the worker. A pick allocates nothing.
#ifndef UB_UPSTREAM_UPSTREAM_GROUP_H_
#define UB_UPSTREAM_UPSTREAM_GROUP_H_

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>

#include "core/config.h"
#include "core/random.h"
#include "core/shm_segment.h"
#include "core/status.h"
#include "upstream/backend_view.h"
#include "upstream/balancer.h"

namespace ub {

struct PickRequest {
  uint64_t key = 0;                  // hash of the client's key; only ip-hash looks at it
  uint64_t now_ns = 0;               // monotonic, the loop's clock
  std::span<const uint32_t> tried{};  // slots that this request was already tried on: passed over
};

enum class PickVerdict : uint8_t {
  kPicked,
  kNoneUsable,  // no backend, or all are down, drained, broken open or already tried
  kAllFull,     // usable ones exist and every one is at its max_connections
};

// A reserved place at a backend. Exactly one Report() or Release() ends it.
struct Lease {
  uint32_t slot = kNoSlot;
  uint32_t generation = 0;
  uint16_t epoch = 0;      // of the breaker when the request began
  bool half_open = false;  // holds a ticket of the half-open breaker
  bool settled = false;    // how the backend did was told before the end
  bool failed = false;     // and it was a failure
  bool valid() const { return slot != kNoSlot; }
};

enum class Outcome : uint8_t {
  kSuccess,
  kFailure,  // the backend's fault: feeds breaker and passive health
  kNeutral,  // says nothing of the backend: the client left, a reused connection had died
};

class UpstreamGroup {
 public:
  // `row` is this process's row; `worker_id` sets where round-robin begins.
  UpstreamGroup(ShmSegment& shm, uint32_t row, uint32_t pool, uint32_t worker_id);
  ~UpstreamGroup();

  // Takes the algorithm and the breaker's, limits' and slow start's settings of a configuration.
  void Configure(const Config& config);
  // Rebuilds the view where the table's version moved; cheap (one load) otherwise. Once a loop turn, for all groups of the
  // worker in one go before any picks: the acknowledgement of the version is the process's.
  // Returns true where the view changed.
  bool Refresh();

  PickVerdict Pick(const PickRequest& request, Lease* lease);
  // The backend has answered, the request goes on (a long body, a WebSocket): tells how it did and gives a half-open
  // ticket back, so that hours of streaming do not hold the breaker half-open. The place stays reserved; a later
  // Report of a failure still counts. Optional.
  void Settle(Lease* lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns);
  // Ends the lease and tells how the backend did. `response_ns`: from the send to the response head, 0 if none.
  void Report(const Lease& lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns);
  void Release(const Lease& lease) { Report(lease, Outcome::kNeutral, 0, 0); }

  // Where to connect to. The slot must be leased.
  const sockaddr* Address(uint32_t slot, socklen_t* bytes) const;
  const BackendSlot& Slot(uint32_t slot) const { return shm_.slot(slot); }
  const BackendView& view() const { return view_; }
  const BalancerRow& algorithm() const { return *algorithm_; }

 private:
  enum class Entry : uint8_t { kTaken, kFull, kShut };

  void BuildBalancers();
  void UpdatePanic(uint64_t now_ns);
  bool PickFrom(Tier tier, Candidates& among, const PickRequest& request, Lease* lease);
  Entry Enter(const ViewEntry& entry, uint64_t now_ns, Lease* lease);
  Entry EnterHalfOpen(const ViewEntry& entry, uint64_t now_ns, Lease* lease);
  void Judge(const Lease& lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns);

  ShmSegment& shm_;
  const uint32_t row_, pool_, worker_id_;
  BackendView view_;
  const BalancerRow* algorithm_;
  std::unique_ptr<Balancer> balancers_[kTiers];
  uint64_t builds_ = 0;
  PickSettings settings_;
  uint32_t panic_percent_ = 0;
  uint64_t panic_checked_ns_ = 0;
  Random random_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_UPSTREAM_GROUP_H_
