#include "upstream/upstream_group.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "log_capture.h"
#include "upstream_fixture.h"

namespace ub {
namespace {

TEST(UpstreamGroup, EmptyPoolHasNoneUsable) {
  Pool pool;
  pool.Apply({});
  UpstreamGroup& group = pool.AddWorker();
  Lease lease;
  EXPECT_EQ(group.Pick({.now_ns = kSecond}, &lease), PickVerdict::kNoneUsable);
  EXPECT_FALSE(lease.valid());
}

TEST(UpstreamGroup, EveryAlgorithmSpreadsAndGivesPlacesBack) {
  for (const BalancerRow& row : Balancers()) {
    Pool pool(MakeSpecs(3), std::string(row.name));
    const auto spread = pool.Spread(300);
    for (uint32_t b = 0; b < 3; ++b) {
      EXPECT_GT(spread[b], 50u) << row.name;
      EXPECT_EQ(pool.shm().InFlight(b), 0u) << row.name;
    }
  }
}

TEST(UpstreamGroup, CountsRequestsFailuresAndInFlight) {
  Pool pool(MakeSpecs(1), "round-robin");
  const Lease first = pool.Take(), second = pool.Take();
  EXPECT_EQ(pool.shm().InFlight(first.slot), 2u);
  pool.group().Report(first, Outcome::kSuccess, 0, kSecond);
  pool.group().Report(second, Outcome::kFailure, 0, kSecond);
  EXPECT_EQ(pool.shm().InFlight(first.slot), 0u);
  EXPECT_EQ(pool.shm().counters(0, first.slot).requests, 2u);
  EXPECT_EQ(pool.shm().counters(0, first.slot).failures, 1u);
  EXPECT_EQ(pool.slot(0).passive_failures, 1u);
  pool.group().Report(pool.Take(), Outcome::kSuccess, 0, kSecond);
  EXPECT_EQ(pool.slot(0).passive_failures, 0u);
}

TEST(UpstreamGroup, TriedSlotsArePassedOver) {
  for (const BalancerRow& row : Balancers()) {
    Pool pool(MakeSpecs(3), std::string(row.name));
    for (uint64_t key = 0; key < 50; ++key) {
      const uint32_t tried[] = {pool.Find(0), pool.Find(2)};
      const Lease lease = pool.Take(0, {.key = key, .now_ns = kSecond, .tried = tried});
      EXPECT_EQ(lease.slot, pool.Find(1)) << row.name;
      pool.group().Release(lease);
    }
    const uint32_t all[] = {0, 1, 2};
    Lease lease;
    EXPECT_EQ(pool.group().Pick({.now_ns = kSecond, .tried = all}, &lease), PickVerdict::kNoneUsable) << row.name;
  }
}

TEST(UpstreamGroup, DownRecoveringDrainedAndMaintainedAreNotUsed) {
  for (const BalancerRow& row : Balancers()) {
    Pool pool(MakeSpecs(5), std::string(row.name));
    pool.SetHealth(0, HealthState::kDown);
    pool.SetHealth(1, HealthState::kRecovering);
    pool.SetAdmin(2, AdminState::kDrain);
    pool.SetAdmin(3, AdminState::kMaint);
    pool.SetHealth(4, HealthState::kDegraded);
    EXPECT_TRUE(pool.group().Refresh()) << row.name;
    EXPECT_FALSE(pool.group().Refresh()) << row.name;
    EXPECT_EQ(pool.Spread(100)[pool.Find(4)], 100u) << row.name;
  }
}

TEST(UpstreamGroup, HealthIsIgnoredWhereChecksAreOff) {
  Pool pool(MakeSpecs(1), "round-robin");
  pool.SetHealth(0, HealthState::kDown);
  Lease lease;
  EXPECT_EQ(pool.group().Pick({.now_ns = kSecond}, &lease), PickVerdict::kNoneUsable);
  pool.config.health_check.enabled = false;
  pool.Reconfigure();
  EXPECT_TRUE(pool.Take().valid());
}

TEST(UpstreamGroup, BackupsServeOnlyWhileNoPrimaryCan) {
  for (const BalancerRow& row : Balancers()) {
    auto specs = MakeSpecs(3);
    specs[0].backup = true;
    specs[1].max_connections = specs[2].max_connections = 1;
    Pool pool(specs, std::string(row.name));
    EXPECT_EQ(pool.Spread(50)[pool.Find(0)], 0u) << row.name;
    const Lease a = pool.Take(), b = pool.Take();
    Lease lease;
    EXPECT_EQ(pool.group().Pick({.now_ns = kSecond}, &lease), PickVerdict::kAllFull)
        << row.name << ": a busy primary is no reason for a backup";
    pool.SetHealth(1, HealthState::kDown);
    pool.SetHealth(2, HealthState::kDown);
    EXPECT_EQ(pool.Spread(50)[pool.Find(0)], 50u) << row.name;
    pool.group().Release(a);
    pool.group().Release(b);
  }
}

TEST(UpstreamGroup, LimitsAreTakenFromOthersUntilAllAreFull) {
  for (const BalancerRow& row : Balancers()) {
    auto specs = MakeSpecs(3);
    for (BackendSpec& spec : specs) spec.max_connections = 2 + spec.order;
    Pool pool(specs, std::string(row.name), 2);
    std::vector<Lease> leases;
    for (uint32_t n = 0; n < 9; ++n) leases.push_back(pool.Take(n % 2, {.key = 7, .now_ns = kSecond}));
    for (uint32_t n = 0; n < 3; ++n) EXPECT_EQ(pool.shm().InFlight(pool.Find(n)), 2 + n) << row.name;
    Lease lease;
    EXPECT_EQ(pool.group(1).Pick({.now_ns = kSecond}, &lease), PickVerdict::kAllFull) << row.name;
    pool.group().Release(leases[0]);
    EXPECT_EQ(pool.Take(0).slot, leases[0].slot) << row.name;
  }
}

TEST(UpstreamGroup, PanicUsesTheUnhealthyToo) {
  Pool pool(MakeSpecs(4), "round-robin");
  pool.config.health_check.panic_threshold_percent = 50;
  pool.Reconfigure();
  pool.SetHealth(0, HealthState::kDown);
  pool.SetHealth(1, HealthState::kDown);
  EXPECT_EQ(pool.Spread(40)[pool.Find(0)], 0u);  // exactly at the threshold is not below it
  pool.SetHealth(2, HealthState::kDown);
  const auto spread = pool.Spread(40, 0, 2 * kSecond);
  for (uint32_t n = 0; n < 4; ++n) EXPECT_EQ(spread[pool.Find(n)], 10u);
  pool.SetHealth(0, HealthState::kUp);
  pool.SetHealth(1, HealthState::kUp);
  EXPECT_EQ(pool.Spread(40, 0, 3 * kSecond)[pool.Find(2)], 0u);
}

TEST(UpstreamGroup, SlowStartRampsUpInEveryAlgorithm) {
  for (const BalancerRow& row : Balancers()) {
    Pool pool(MakeSpecs(2), std::string(row.name));
    pool.config.health_check.slow_start_ms = 10'000;
    pool.Reconfigure();
    EXPECT_TRUE(pool.table().SetSlowStart(pool.Find(1), 100 * kSecond).ok());
    const auto share = [&](uint64_t now_ns) { return pool.Spread(1000, 0, now_ns)[pool.Find(1)]; };
    const uint32_t early = share(100 * kSecond), middle = share(105 * kSecond), late = share(111 * kSecond);
    if (row.name != "least-connections") {  // which compares loads: see its own test
      EXPECT_GT(early, 10u) << row.name;
      EXPECT_LT(early, 150u) << row.name;
      EXPECT_GT(middle, early + 50) << row.name;
      EXPECT_GT(late, middle) << row.name;
    }
    EXPECT_NEAR(late, 500, 80) << row.name;
    pool.SetHealth(0, HealthState::kDown);  // the only one left serves all, slow start or not
    EXPECT_EQ(share(100 * kSecond), 1000u) << row.name;
  }
}

TEST(UpstreamGroup, BreakerOpensShutsProbesAndCloses) {
  Pool pool(MakeSpecs(1), "round-robin", 2);
  const uint32_t b = pool.Find(0);
  const uint64_t t = 100 * kSecond;
  std::vector<Lease> old;
  for (int n = 0; n < 6; ++n) old.push_back(pool.Take(n % 2, {.now_ns = t}));
  for (int n = 0; n < 5; ++n) pool.group(n % 2).Report(old[n], Outcome::kFailure, 0, t);
  Lease lease;
  EXPECT_EQ(pool.group(0).Pick({.now_ns = t + 59 * kSecond}, &lease), PickVerdict::kNoneUsable);
  EXPECT_EQ(pool.group(1).Pick({.now_ns = t + 59 * kSecond}, &lease), PickVerdict::kNoneUsable);

  const uint64_t later = t + 61 * kSecond;
  std::vector<Lease> probes;
  for (int n = 0; n < 3; ++n) probes.push_back(pool.Take(n % 2, {.now_ns = later}));
  for (const Lease& probe : probes) EXPECT_TRUE(probe.half_open);
  EXPECT_EQ(pool.group(1).Pick({.now_ns = later}, &lease), PickVerdict::kNoneUsable) << "three tickets, not four";
  pool.group(1).Report(old[5], Outcome::kFailure, 0, later);  // began before it opened: says nothing now
  EXPECT_EQ(CircuitBreaker(pool.slot(0), {}).Load().state, CircuitState::kHalfOpen);
  pool.group(0).Report(probes[0], Outcome::kSuccess, 0, later);
  pool.group(1).Settle(&probes[1], Outcome::kSuccess, 0, later);
  EXPECT_EQ(CircuitBreaker(pool.slot(0), {}).Load().state, CircuitState::kClosed);
  EXPECT_EQ(pool.shm().InFlight(b), 2u) << "a settled request keeps its place";
  pool.group(0).Report(probes[2], Outcome::kFailure, 0, later);
  EXPECT_EQ(CircuitBreaker(pool.slot(0), {}).Load().state, CircuitState::kClosed) << "of the half-open epoch";
  pool.group(1).Report(probes[1], Outcome::kSuccess, 0, later);
  EXPECT_EQ(pool.shm().InFlight(b), 0u);
  EXPECT_EQ(pool.shm().tickets(0, b) + pool.shm().tickets(1, b), 0u);
}

TEST(UpstreamGroup, EachMoveOfTheBreakerIsLoggedOnceWithItsReason) {
  Pool pool(MakeSpecs(1), "round-robin", 3);
  const LogCapture log;
  uint64_t t = 100 * kSecond;
  std::vector<Lease> leases;
  for (int n = 0; n < 9; ++n) leases.push_back(pool.Take(n % 3, {.now_ns = t}));
  for (int n = 0; n < 9; ++n) pool.group(n % 3).Report(leases[n], Outcome::kFailure, 0, t);
  t += 61 * kSecond;
  leases.clear();
  for (int n = 0; n < 3; ++n) leases.push_back(pool.Take(n, {.now_ns = t}));
  for (int n = 0; n < 3; ++n) pool.group(n).Report(leases[n], Outcome::kFailure, 0, t);
  t += 61 * kSecond;
  leases.clear();
  for (int n = 0; n < 3; ++n) leases.push_back(pool.Take(n, {.now_ns = t}));
  for (int n = 0; n < 3; ++n) pool.group(n).Report(leases[n], Outcome::kSuccess, 0, t);
  EXPECT_EQ(log.Count("circuit is open (was closed): too many requests in a row failed"), 1u);
  EXPECT_EQ(log.Count("circuit is half-open (was open): its time-out has passed"), 2u);
  EXPECT_EQ(log.Count("circuit is open (was half-open): a request failed"), 1u);
  EXPECT_EQ(log.Count("circuit is closed (was half-open): enough requests in a row succeeded"), 1u);
  EXPECT_EQ(log.Count("circuit"), 5u) << log.Text();
  EXPECT_EQ(log.Count(MakeSpec(0).text), 5u) << "each names the backend";
}

TEST(UpstreamGroup, StreamingRequestsDoNotHoldTheBreakerHalfOpen) {
  Pool pool(MakeSpecs(1), "round-robin");
  uint64_t t = 100 * kSecond;
  std::vector<Lease> websockets;
  for (int n = 0; n < 10; ++n) websockets.push_back(pool.Take(0, {.now_ns = t}));
  for (Lease& lease : websockets) pool.group().Settle(&lease, Outcome::kSuccess, 0, t);
  for (int n = 0; n < 5; ++n) pool.group().Report(pool.Take(0, {.now_ns = t}), Outcome::kFailure, 0, t);
  t += 61 * kSecond;
  for (int n = 0; n < 2; ++n) {
    Lease probe = pool.Take(0, {.now_ns = t});
    EXPECT_TRUE(probe.half_open);
    pool.group().Settle(&probe, Outcome::kSuccess, 0, t);
    websockets.push_back(probe);
  }
  EXPECT_FALSE(pool.Take(0, {.now_ns = t}).half_open) << "closed, with twelve streams under way";
}

TEST(UpstreamGroup, TicketsAndPlacesOfADeadWorkerComeBack) {
  auto specs = MakeSpecs(1);
  specs[0].max_connections = 3;
  Pool pool(specs, "round-robin", 2);
  uint64_t t = 100 * kSecond;
  for (int n = 0; n < 5; ++n) pool.group(0).Report(pool.Take(0, {.now_ns = t}), Outcome::kFailure, 0, t);
  t += 61 * kSecond;
  for (int n = 0; n < 3; ++n) EXPECT_TRUE(pool.Take(0, {.now_ns = t}).half_open);
  Lease lease;
  EXPECT_NE(pool.group(1).Pick({.now_ns = t}, &lease), PickVerdict::kPicked);
  pool.shm().ReleaseRow(0);  // as the master does once the process is gone
  for (int n = 0; n < 3; ++n) EXPECT_TRUE(pool.Take(1, {.now_ns = t}).half_open);
}

// Between the look at a backend and the reservation another process may take the last place: then the ticket that was
// taken first must go back.
TEST(UpstreamGroup, ATicketWhosePlaceWasLostIsGivenBack) {
  auto specs = MakeSpecs(1);
  specs[0].max_connections = 1;
  Pool pool(specs, "round-robin", 2);
  const uint32_t b = pool.Find(0);
  pool.slot(0).breaker = BreakerWord{CircuitState::kHalfOpen, 1, 0}.Pack();
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      pool.shm().in_flight(1, b).store(1);
      pool.shm().in_flight(1, b).store(0);
    }
  });
  for (int n = 0; n < 2'000'000 && !HasFailure(); ++n) {
    Lease lease;
    const bool picked = pool.group(0).Pick({.now_ns = kSecond}, &lease) == PickVerdict::kPicked;
    EXPECT_EQ(pool.shm().tickets(0, b), picked ? 1u : 0u) << n;
    if (picked) pool.group(0).Release(lease);
  }
  stop = true;
  other.join();
  EXPECT_EQ(pool.shm().in_flight(0, b), 0u);
}

TEST(UpstreamGroup, AFailureAfterSettlingCountsOnce) {
  Pool pool(MakeSpecs(1), "round-robin");
  Lease lease = pool.Take();
  pool.group().Settle(&lease, Outcome::kSuccess, 0, kSecond);
  pool.group().Report(lease, Outcome::kFailure, 0, kSecond);
  EXPECT_EQ(pool.shm().counters(0, lease.slot).failures, 1u);
  lease = pool.Take();
  pool.group().Settle(&lease, Outcome::kFailure, 0, kSecond);
  pool.group().Report(lease, Outcome::kFailure, 0, kSecond);
  EXPECT_EQ(pool.shm().counters(0, lease.slot).failures, 2u);
  EXPECT_EQ(pool.shm().InFlight(lease.slot), 0u);
}

TEST(UpstreamGroup, AddressIsTheSpecs) {
  Pool pool(MakeSpecs(2), "round-robin");
  const Lease lease = pool.Take();
  socklen_t bytes = 0;
  const sockaddr* address = pool.group().Address(lease.slot, &bytes);
  const BackendSpec spec = MakeSpec(pool.group().Slot(lease.slot).order);
  ASSERT_EQ(bytes, spec.bytes);
  EXPECT_EQ(std::memcmp(address, &spec.address, bytes), 0);
}

}  // namespace
}  // namespace ub
