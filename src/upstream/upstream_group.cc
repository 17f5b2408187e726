#include "upstream/upstream_group.h"

#include <algorithm>

#include "core/admission.h"
#include "core/clock.h"
#include "core/log.h"
#include "upstream/circuit_breaker.h"
#include "upstream/peak_ewma.h"

namespace ub {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
// The share of healthy backends is counted at most this often, and less often with many backends.
constexpr uint64_t kMinPanicAgeNs = MsToNs(10);
constexpr uint64_t kPanicAgePerBackendNs = 2'000;

// Adds to a word that only this process writes: no locked instruction is needed.
template <class Word>
void Bump(Word& word) {
  word.store(word.load(kRelaxed) + 1, kRelaxed);
}

// Only whoever made the move logs it, so each is told once, whatever number of workers saw it.
void LogMove(const BackendSlot& slot, CircuitState now, CircuitState before, std::string_view reason) {
  Log(now == CircuitState::kClosed ? LogLevel::kNotice : LogLevel::kWarn, "backend {}: circuit is {} (was {}): {}",
      slot.address_text, CircuitStateName(now), CircuitStateName(before), reason);
}

}  // namespace

UpstreamGroup::UpstreamGroup(ShmSegment& shm, uint32_t row, uint32_t pool, uint32_t worker_id)
    : shm_(shm), row_(row), pool_(pool), worker_id_(worker_id), view_(shm, pool), algorithm_(&Balancers().front()),
      random_((uint64_t{worker_id} << 32 | pool) ^ shm.header().created_unix_ms * kGolden) {}

UpstreamGroup::~UpstreamGroup() = default;

void UpstreamGroup::Configure(const Config& config) {
  const HealthCheckConfig& health = config.health_check;
  settings_.breaker = health.circuit_breaker;
  settings_.slow_start_ns = MsToNs(health.slow_start_ms);
  settings_.check_health = health.enabled;
  settings_.panic = false;
  panic_percent_ = health.panic_threshold_percent;
  panic_checked_ns_ = 0;
  const BalancerRow* wanted = FindBalancer(config.algorithm);
  if (wanted == nullptr) wanted = &Balancers().front();  // config_bind has refused unknown names
  if (wanted == algorithm_) return;
  algorithm_ = wanted;
  BuildBalancers();
}

bool UpstreamGroup::Refresh() {
  if (!view_.Refresh()) return false;
  BuildBalancers();
  panic_checked_ns_ = 0;
  shm_.row(row_).table_ack.store(view_.version(), std::memory_order_release);
  return true;
}

void UpstreamGroup::BuildBalancers() {
  // Workers start spread over the backends (multiples of the golden ratio lie far apart), and after the first time at
  // random: a table that changes often must not send every first request to the same one.
  const bool first = builds_ == 0;
  if (!view_.entries().empty()) ++builds_;
  const uint64_t phase = first ? (((worker_id_ + uint64_t{1}) * kGolden) >> 32) : random_.Next() >> 32;
  for (const Tier tier : {Tier::kPrimary, Tier::kBackup}) {
    const std::span<const ViewEntry> entries = view_.tier(tier);
    // `phase` is a fraction of 2^32 of the way round.
    const uint64_t start = (phase * entries.size()) >> 32;
    auto& balancer = balancers_[static_cast<size_t>(tier)];
    balancer = entries.empty() ? nullptr : algorithm_->make(entries, start);
  }
}

void UpstreamGroup::UpdatePanic(uint64_t now_ns) {
  const std::span<const ViewEntry> primaries = view_.tier(Tier::kPrimary);
  const uint64_t max_age = std::max(kMinPanicAgeNs, primaries.size() * kPanicAgePerBackendNs);
  if (panic_checked_ns_ != 0 && now_ns - panic_checked_ns_ < max_age) return;
  panic_checked_ns_ = now_ns;
  uint64_t ready = 0, healthy = 0;
  for (const ViewEntry& entry : primaries) {
    if (entry.admin != AdminState::kReady) continue;
    ++ready;
    healthy += HealthUsable(static_cast<HealthState>(view_.Slot(entry).health.load(kRelaxed)));
  }
  const bool panic = healthy * 100 < ready * panic_percent_;
  if (panic != settings_.panic) {
    Log(LogLevel::kWarn, "{} of {} backends are healthy: {}", healthy, ready,
        panic ? "below panic_threshold_percent, all are used" : "health counts again");
  }
  settings_.panic = panic;
}

PickVerdict UpstreamGroup::Pick(const PickRequest& request, Lease* lease) {
  *lease = Lease{};
  if (panic_percent_ != 0) UpdatePanic(request.now_ns);
  for (const Tier tier : {Tier::kPrimary, Tier::kBackup}) {
    if (balancers_[static_cast<size_t>(tier)] == nullptr) continue;
    Candidates among(view_, view_.tier(tier), settings_, random_, request.tried, request.now_ns);
    if (PickFrom(tier, among, request, lease)) return PickVerdict::kPicked;
    // Full is not failed: backups stand in for primaries that cannot serve, not for busy ones.
    if (among.saw_full()) return PickVerdict::kAllFull;
  }
  return PickVerdict::kNoneUsable;
}

bool UpstreamGroup::PickFrom(Tier tier, Candidates& among, const PickRequest& request, Lease* lease) {
  Balancer& balancer = *balancers_[static_cast<size_t>(tier)];
  while (!among.excluded_all()) {
    const uint32_t i = balancer.Pick(among, request.key, random_);
    if (i == kNoIndex) return false;
    const Entry entered = Enter(among[i], request.now_ns, lease);
    if (entered == Entry::kTaken) return true;
    // Another process was quicker to the last place: the policy chooses again without it.
    among.Exclude(i, entered == Entry::kFull);
  }
  // Lost so often that the rest is tried one by one.
  const uint32_t start = random_.Below(among.size());
  for (uint32_t n = 0; n < among.size(); ++n) {
    const uint32_t i = (start + n) % among.size();
    if (!among.Usable(i)) continue;
    const Entry entered = Enter(among[i], request.now_ns, lease);
    if (entered == Entry::kTaken) return true;
    if (entered == Entry::kFull) among.Exclude(i, true);
  }
  return false;
}

UpstreamGroup::Entry UpstreamGroup::Enter(const ViewEntry& entry, uint64_t now_ns, Lease* lease) {
  CircuitBreaker breaker(shm_.slot(entry.slot), settings_.breaker);
  *lease = Lease{};
  if (breaker.Look(now_ns) == BreakerGate::kPass) {
    lease->epoch = breaker.Load().epoch;
  } else if (const Entry entered = EnterHalfOpen(entry, now_ns, lease); entered != Entry::kTaken) {
    return entered;
  }
  if (entry.max_connections == 0) {
    Bump(shm_.in_flight(row_, entry.slot));
  } else if (!ReserveInFlight(shm_, row_, entry.slot, entry.max_connections)) {
    if (lease->half_open) Unreserve(shm_.tickets(row_, entry.slot));
    *lease = Lease{};
    return Entry::kFull;
  }
  lease->slot = entry.slot;
  lease->generation = entry.generation;
  Bump(shm_.counters(row_, entry.slot).requests);
  return Entry::kTaken;
}

UpstreamGroup::Entry UpstreamGroup::EnterHalfOpen(const ViewEntry& entry, uint64_t now_ns, Lease* lease) {
  CircuitBreaker breaker(shm_.slot(entry.slot), settings_.breaker);
  bool moved = false;
  const bool half_open = breaker.BeginHalfOpen(now_ns, &moved);
  if (moved) LogMove(shm_.slot(entry.slot), CircuitState::kHalfOpen, CircuitState::kOpen, "its time-out has passed");
  if (!half_open) return Entry::kShut;
  const auto tickets = [&](uint32_t r) -> std::atomic<uint32_t>& { return shm_.tickets(r, entry.slot); };
  if (!Reserve(shm_, row_, tickets, std::max(settings_.breaker.half_open_requests, 1u))) return Entry::kShut;
  // The ticket counts; only now is it certain in which epoch it was taken.
  const BreakerWord word = breaker.Load();
  if (word.state != CircuitState::kHalfOpen) {
    Unreserve(shm_.tickets(row_, entry.slot));
    return Entry::kShut;
  }
  lease->epoch = word.epoch;
  lease->half_open = true;
  return Entry::kTaken;
}

void UpstreamGroup::Judge(const Lease& lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns) {
  if (outcome == Outcome::kNeutral) return;
  BackendSlot& slot = shm_.slot(lease.slot);
  CircuitBreaker breaker(slot, settings_.breaker);
  const bool failed = outcome == Outcome::kFailure;
  if (failed) {
    Bump(shm_.counters(row_, lease.slot).failures);
    slot.passive_failures.fetch_add(1, kRelaxed);
  } else if (slot.passive_failures.load(kRelaxed) != 0) {
    slot.passive_failures.store(0, kRelaxed);
  }
  if (!failed) {
    if (breaker.OnSuccess(lease.epoch)) {
      LogMove(slot, CircuitState::kClosed, CircuitState::kHalfOpen, "enough requests in a row succeeded");
    }
  } else if (const auto before = breaker.OnFailure(lease.epoch, now_ns)) {
    LogMove(slot, CircuitState::kOpen, *before,
            *before == CircuitState::kHalfOpen ? "a request failed" : "too many requests in a row failed");
  }
  if (algorithm_->uses_latency && response_ns != 0) PeakEwma::Record(slot.ewma, response_ns, now_ns, failed);
}

void UpstreamGroup::Settle(Lease* lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns) {
  if (!lease->valid() || lease->settled) return;
  Judge(*lease, outcome, response_ns, now_ns);
  lease->settled = true;
  lease->failed = outcome == Outcome::kFailure;
  if (!lease->half_open) return;
  Unreserve(shm_.tickets(row_, lease->slot));
  lease->half_open = false;
}

void UpstreamGroup::Report(const Lease& lease, Outcome outcome, uint64_t response_ns, uint64_t now_ns) {
  if (!lease.valid()) return;
  const bool news = !lease.settled || (outcome == Outcome::kFailure && !lease.failed);
  if (news) Judge(lease, outcome, response_ns, now_ns);
  if (lease.half_open) Unreserve(shm_.tickets(row_, lease.slot));
  // Last: once the gauges read 0 the slot may go to another address.
  Unreserve(shm_.in_flight(row_, lease.slot));
}

const sockaddr* UpstreamGroup::Address(uint32_t slot, socklen_t* bytes) const {
  *bytes = shm_.slot(slot).address_bytes;
  return reinterpret_cast<const sockaddr*>(shm_.slot(slot).address);
}

}  // namespace ub
