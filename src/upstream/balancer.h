// How a backend is chosen: the interface of a policy and the one table of all of them.
//
// A policy sees a key, the candidates of one tier and randomness, never a request. It is built for one copy of the view
// and thrown away when the view changes; what must outlive that (response times) lives in the shared slots. Used
// in workers; single-threaded; a pick allocates nothing.
//
// To add one: CONTRIBUTING.md.
#ifndef UB_UPSTREAM_BALANCER_H_
#define UB_UPSTREAM_BALANCER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/random.h"
#include "upstream/backend_view.h"
#include "upstream/candidates.h"

namespace ub {

class Balancer {
 public:
  virtual ~Balancer() = default;
  // Index into `among` of a usable entry; kNoIndex where there is none. `among` is never empty and is of the same view
  // that the policy was built for.
  virtual uint32_t Pick(Candidates& among, uint64_t key, Random& random) = 0;
};

// Proposals that a policy makes in O(1) before it falls back to a walk over all entries.
inline constexpr int kMaxProposals = 8;

struct BalancerRow {
  std::string_view name;
  // `entries` are only read during the call; `phase` says where in its order the policy begins.
  std::unique_ptr<Balancer> (*make)(std::span<const ViewEntry> entries, uint64_t phase);
  std::string_view description;
  bool uses_key = false;      // PickRequest::key matters
  bool uses_latency = false;  // response times are recorded in the slots
};

// All algorithms, round-robin (the default) first.
std::span<const BalancerRow> Balancers();
// nullptr where there is none of that name.
const BalancerRow* FindBalancer(std::string_view name);

}  // namespace ub

#endif  // UB_UPSTREAM_BALANCER_H_
