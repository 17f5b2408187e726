// One policy over a view of its own, without breaker moves or reservations: for tests of what it
// proposes.
#ifndef UB_T_UNIT_UPSTREAM_POLICY_FIXTURE_H_
#define UB_T_UNIT_UPSTREAM_POLICY_FIXTURE_H_

#include <memory>
#include <string_view>
#include <vector>

#include "upstream_fixture.h"

namespace ub {

class PolicyPool {
 public:
  explicit PolicyPool(const std::vector<BackendSpec>& specs, uint32_t processes = 4)
      : pool_(processes, static_cast<uint32_t>(specs.size()) + 8), view_(pool_.shm(), 0) {
    pool_.Apply(specs);
    view_.Refresh();
    for (uint32_t w = 0; w < processes; ++w) pool_.shm().TakeRow(ChildKind::kWorker, w);
  }

  // Index i of the view is backend number i where all are primaries.
  std::span<const ViewEntry> entries() const { return view_.tier(Tier::kPrimary); }
  const BackendView& view() const { return view_; }
  BackendView& mutable_view() { return view_; }
  BackendSlot& slot(uint32_t i) { return shm().slot(entries()[i].slot); }
  std::atomic<uint32_t>& in_flight(uint32_t i, uint32_t row = 0) {
    return shm().in_flight(row, entries()[i].slot);
  }
  void SetHealth(uint32_t i, HealthState health) { slot(i).health = static_cast<uint32_t>(health); }
  ShmSegment& shm() { return pool_.shm(); }
  Pool& pool() { return pool_; }

  std::unique_ptr<Balancer> Make(std::string_view name, uint64_t phase = 0) const {
    return FindBalancer(name)->make(entries(), phase);
  }
  Candidates Among(std::span<const uint32_t> tried = {}) {
    return Candidates(view_, entries(), settings, random, tried, now_ns);
  }
  uint32_t Pick(Balancer& balancer, uint64_t key = 0, std::span<const uint32_t> tried = {}) {
    Candidates among = Among(tried);
    return balancer.Pick(among, key, random);
  }
  // How often each backend was chosen in `count` picks that end at once.
  std::vector<uint64_t> Count(Balancer& balancer, uint64_t count) {
    std::vector<uint64_t> chosen(entries().size());
    for (uint64_t n = 0; n < count; ++n) {
      const uint32_t i = Pick(balancer, n);
      if (i < chosen.size()) ++chosen[i];
    }
    return chosen;
  }

  PickSettings settings;
  Random random{20261125};
  uint64_t now_ns = 1000 * kSecond;

 private:
  Pool pool_;
  BackendView view_;
};

inline std::vector<BackendSpec> WeightedSpecs(const std::vector<uint32_t>& weights) {
  std::vector<BackendSpec> specs;
  for (const uint32_t weight : weights) {
    specs.push_back(MakeSpec(static_cast<uint32_t>(specs.size()), weight));
  }
  return specs;
}

// Pearson's statistic of `observed` against `expected` shares (any scale).
inline double ChiSquare(const std::vector<uint64_t>& observed,
                        const std::vector<double>& expected) {
  double all = 0, shares = 0, sum = 0;
  for (const uint64_t count : observed) all += static_cast<double>(count);
  for (const double share : expected) shares += share;
  for (size_t i = 0; i < observed.size(); ++i) {
    const double ideal = all * expected[i] / shares;
    const double off = static_cast<double>(observed[i]) - ideal;
    sum += off * off / ideal;
  }
  return sum;
}

// What the statistic exceeds by chance once in a thousand times, with 9 and with 99 degrees of
// freedom.
inline constexpr double kChiSquare9 = 27.88;
inline constexpr double kChiSquare99 = 148.23;

}  // namespace ub

#endif  // UB_T_UNIT_UPSTREAM_POLICY_FIXTURE_H_
