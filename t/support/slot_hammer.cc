#include "support/slot_hammer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>

#include <bit>
#include <cstring>
#include <memory>

#include "core/admission.h"
#include "core/clock.h"
#include "core/random.h"
#include "upstream/circuit_breaker.h"
#include "upstream/peak_ewma.h"
#include "upstream/upstream_group.h"

namespace ub::hammer {

namespace {

constexpr uint32_t kHalfOpenRequests = 2;
constexpr uint64_t kClockSpeed = 200;
constexpr uint64_t kLongestResponseNs = 1'000'000'000;

uint64_t PlacesOf(uint32_t index) { return ((uint64_t{1} << kLeases) - 1) << (index * kLeases); }

bool EpochIsBefore(uint16_t a, uint16_t b) { return static_cast<uint16_t>(b - a - 1) < 0x7fff; }

// One worker: its group, and what it holds.
class Hand {
 public:
  Hand(ShmSegment& shm, uint32_t row, uint32_t index, Witness& witness, uint64_t seed)
      : shm_(shm),
        witness_(witness),
        row_(row),
        index_(index),
        random_(seed),
        group_(shm, row, 0, index) {
    group_.Configure(MakeConfig(static_cast<uint32_t>(seed)));
    group_.Refresh();
  }

  void Step() {
    group_.Refresh();
    const uint32_t k = random_.Below(kLeases);
    switch (random_.Below(8)) {
      case 0:
        return ToggleClient();
      case 1:
        return LookAtWords();
      case 2:
        return Settle(k);
      case 3:
        shm_.idle(row_, random_.Below(kSlots)).store(random_.Below(5));
        return;
      default:
        return leases_[k].valid() ? GiveBack(k) : Take(k);
    }
  }

  void GiveBackAll() {
    for (uint32_t k = 0; k < kLeases; ++k) {
      if (leases_[k].valid()) GiveBack(k);
    }
    if (client_) ToggleClient();
    for (uint32_t b = 0; b < kSlots; ++b) shm_.idle(row_, b).store(0);
  }

 private:
  uint64_t Bit(uint32_t k) const { return uint64_t{1} << (index_ * kLeases + k); }
  void Check(bool holds, Violation violation) {
    if (!holds) witness_.violations.fetch_or(violation);
  }
  static uint32_t Add(std::atomic<uint64_t>& holders, uint64_t bit) {
    return static_cast<uint32_t>(std::popcount(holders.fetch_or(bit) | bit));
  }
  void CheckGeneration(const Lease& lease) {
    Check(shm_.slot(lease.slot).generation.load() == lease.generation, kSlotReusedUnderALease);
  }

  void Take(uint32_t k) {
    Lease lease;
    const PickVerdict verdict = group_.Pick({.key = random_.Next(), .now_ns = NowNs()}, &lease);
    if (verdict != PickVerdict::kPicked) {
      witness_.refused.fetch_add(1);
      sched_yield();
      return;
    }
    Check(Add(witness_.in_flight[lease.slot], Bit(k)) <= kMaxConnections, kTooManyInFlight);
    if (lease.half_open) {
      Check(Add(witness_.tickets[lease.slot], Bit(k)) <= kHalfOpenRequests, kTooManyTickets);
      witness_.half_open.fetch_add(1);
    }
    CheckGeneration(lease);
    witness_.granted.fetch_add(1);
    leases_[k] = lease;
  }

  Outcome Draw() {
    const uint32_t drawn = random_.Below(10);
    return drawn < 4 ? Outcome::kFailure : drawn < 9 ? Outcome::kSuccess : Outcome::kNeutral;
  }
  uint64_t ResponseNs() { return random_.Below(static_cast<uint32_t>(kLongestResponseNs)); }

  void Settle(uint32_t k) {
    if (!leases_[k].valid()) return;
    CheckGeneration(leases_[k]);
    witness_.tickets[leases_[k].slot].fetch_and(~Bit(k));
    group_.Settle(&leases_[k], Draw(), ResponseNs(), NowNs());
  }

  void GiveBack(uint32_t k) {
    const Lease lease = leases_[k];
    CheckGeneration(lease);
    witness_.tickets[lease.slot].fetch_and(~Bit(k));
    witness_.in_flight[lease.slot].fetch_and(~Bit(k));
    group_.Report(lease, Draw(), ResponseNs(), NowNs());
    leases_[k] = Lease{};
  }

  void ToggleClient() {
    if (client_) {
      witness_.clients.fetch_and(~Bit(0));
      Unreserve(shm_.row(row_).connections);
      client_ = false;
    } else if (ReserveConnection(shm_, row_, kMaxClients)) {
      Check(Add(witness_.clients, Bit(0)) <= kMaxClients, kTooManyClients);
      client_ = true;
    }
  }

  // What this worker's own gauges say is what it holds, at any moment: they have one writer.
  void LookAtOwnGauges() {
    for (uint32_t b = 0; b < kSlots; ++b) {
      uint32_t held = 0, tickets = 0;
      for (const Lease& lease : leases_) {
        if (lease.slot != b) continue;
        ++held;
        tickets += lease.half_open;
      }
      Check(shm_.in_flight(row_, b).load() == held && shm_.tickets(row_, b).load() == tickets,
            kGaugesDrifted);
    }
  }

  // No word is ever torn, and epochs only go forward within a generation.
  void LookAtWords() {
    LookAtOwnGauges();
    for (uint32_t b = 0; b < kSlots; ++b) {
      const BackendSlot& slot = shm_.slot(b);
      const uint32_t generation = slot.generation.load();
      const BreakerWord word = BreakerWord::Unpack(slot.breaker.load());
      const double ewma = PeakEwma(slot.ewma).Value();
      if (slot.generation.load() != generation) continue;
      Check(word.state <= CircuitState::kHalfOpen && ewma <= kLongestResponseNs + 256.0, kBadWord);
      // Only of a slot that this worker's view has: another may be between two generations.
      Seen& seen = seen_[b];
      bool in_view = false;
      for (const ViewEntry& entry : group_.view().entries()) {
        in_view |= entry.slot == b && entry.generation == generation;
      }
      if (!in_view) continue;
      Check(seen.generation != generation || !EpochIsBefore(word.epoch, seen.epoch),
            kEpochWentBack);
      seen = {generation, word.epoch};
    }
  }

  struct Seen {
    uint32_t generation = 0;
    uint16_t epoch = 0;
  };

  ShmSegment& shm_;
  Witness& witness_;
  const uint32_t row_, index_;
  Random random_;
  UpstreamGroup group_;
  Lease leases_[kLeases];
  bool client_ = false;
  Seen seen_[kSlots];
};

// Brings every breaker to closed by its own rules; the number of tickets that each half-open one
// gave.
std::string CloseBreakers(UpstreamGroup& group, uint64_t now_ns) {
  for (int n = 0; n < 1000; ++n) {
    std::vector<Lease> leases;
    bool half_open = false;
    for (;;) {
      Lease lease;
      if (group.Pick({.now_ns = now_ns}, &lease) != PickVerdict::kPicked) break;
      half_open |= lease.half_open;
      leases.push_back(lease);
    }
    for (const Lease& lease : leases) group.Report(lease, Outcome::kSuccess, 1'000'000, now_ns);
    if (!half_open) return "";
  }
  return "a breaker cannot be closed";
}

}  // namespace

std::string GaugesLeft(const ShmSegment& shm) {
  for (uint32_t r = 0; r < shm.processes(); ++r) {
    if (shm.row(r).connections.load() != 0) return fmt::format("row {} has client connections", r);
    for (uint32_t b = 0; b < kSlots; ++b) {
      if (shm.in_flight(r, b).load() != 0)
        return fmt::format("row {} has requests in flight to {}", r, b);
      if (shm.tickets(r, b).load() != 0) return fmt::format("row {} has tickets of {}", r, b);
      if (shm.idle(r, b).load() != 0) return fmt::format("row {} has idle connections to {}", r, b);
    }
  }
  return "";
}

void Witness::Forget(uint32_t index) {
  const uint64_t keep = ~PlacesOf(index);
  for (auto& word : in_flight) word.fetch_and(keep);
  for (auto& word : tickets) word.fetch_and(keep);
  clients.fetch_and(keep);
}

std::string Witness::Summary() const {
  return fmt::format(
      "violations {:#x}, {} granted, {} by ticket, {} refused, {} changes of the table",
      violations.load(), granted.load(), half_open.load(), refused.load(), table_changes.load());
}

Config MakeConfig(uint32_t variant) {
  Config config;
  const auto algorithms = Balancers();
  config.algorithm = algorithms[variant % algorithms.size()].name;
  CircuitBreakerConfig& breaker = config.health_check.circuit_breaker;
  breaker = {.enabled = true,
             .failure_threshold = 3,
             .success_threshold = 2,
             .timeout_seconds = 1,
             .half_open_requests = kHalfOpenRequests};
  return config;
}

uint64_t NowNs() { return MonotonicNs() * kClockSpeed; }

BackendSpec Spec(uint32_t n) {
  BackendSpec spec;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(80);
  address.sin_addr.s_addr = htonl(0x0a000000u + n);
  std::memcpy(&spec.address, &address, sizeof(address));
  spec.bytes = sizeof(address);
  spec.text = fmt::format("10.0.0.{}:80", n);
  spec.weight = 1 + n * 10;
  spec.max_connections = kMaxConnections;
  spec.order = n;
  return spec;
}

void Work(ShmSegment& shm, uint32_t row, uint32_t index, Witness& witness, uint64_t seed) {
  Hand hand(shm, row, index, witness, seed);
  while (witness.stop.load() == 0) {
    if (witness.abandon[index].load() != 0) return;
    hand.Step();
  }
  hand.GiveBackAll();
}

void ChangeTable(ShmSegment& shm, Witness& witness, uint64_t seed) {
  Random random(seed);
  BackendTable table(shm);
  while (witness.stop.load() == 0 && witness.abandon[kHands].load() == 0) {
    std::vector<BackendSpec> specs;
    for (uint32_t n = 0; n < kAddresses; ++n) {
      if (specs.size() >= kSlots || random.Below(3) != 0) continue;
      specs.push_back(Spec(n));
      specs.back().weight = 1 + random.Below(100);
      if (random.Below(4) == 0) specs.back().admin = AdminState::kDrain;
    }
    (void)table.Apply(0, specs);
    shm.slot(random.Below(kSlots)).health.store(random.Below(5));
    witness.table_changes.fetch_add(1);
    sched_yield();
  }
}

std::string Leftovers(ShmSegment& shm) {
  if (std::string wrong = GaugesLeft(shm); !wrong.empty()) return wrong;
  std::vector<BackendSpec> specs;
  for (uint32_t n = 0; n < kSlots; ++n) specs.push_back(Spec(n));
  BackendTable table(shm);
  // Nobody works by the table any more, so all its slots are free for others once they are removed.
  (void)table.Apply(0, {});
  if (Status status = table.Apply(0, specs); !status.ok()) return status.ToString();
  for (uint32_t b = 0; b < kSlots; ++b) {
    shm.slot(b).health.store(static_cast<uint32_t>(HealthState::kUp));
  }
  const uint32_t row = shm.TakeRow(ChildKind::kWorker, 0);
  UpstreamGroup group(shm, row, 0, 0);
  group.Configure(MakeConfig(0));
  group.Refresh();
  const uint64_t now_ns = NowNs() + uint64_t{3600} * 1'000'000'000;
  if (std::string wrong = CloseBreakers(group, now_ns); !wrong.empty()) return wrong;
  std::vector<Lease> leases;
  for (uint32_t n = 0; n < kSlots * kMaxConnections; ++n) {
    leases.emplace_back();
    if (group.Pick({.now_ns = now_ns}, &leases.back()) != PickVerdict::kPicked) {
      return fmt::format("only {} of {} places can be had", n, kSlots * kMaxConnections);
    }
  }
  Lease more;
  if (group.Pick({.now_ns = now_ns}, &more) != PickVerdict::kAllFull) return "one place too many";
  for (const Lease& lease : leases) group.Release(lease);
  std::string wrong = GaugesLeft(shm);
  shm.ReleaseRow(row);
  return wrong;
}

}  // namespace ub::hammer
