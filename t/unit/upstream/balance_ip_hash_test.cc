#include "upstream/balance_ip_hash.h"

#include <algorithm>

#include "policy_fixture.h"

namespace ub {
namespace {

constexpr uint32_t kKeys = 20'000;

uint64_t Key(uint32_t n) { return Random(n).Next(); }

// The backend of each key, by the number in its address and not by its place.
std::vector<uint32_t> Placement(PolicyPool& pool) {
  BalanceIpHash balancer(pool.entries(), 0);
  std::vector<uint32_t> placed;
  for (uint32_t n = 0; n < kKeys; ++n) {
    sockaddr_in address{};
    std::memcpy(&address, pool.slot(pool.Pick(balancer, Key(n))).address, sizeof(address));
    placed.push_back(ntohl(address.sin_addr.s_addr) & 0xffffff);
  }
  return placed;
}

uint32_t Moved(const std::vector<uint32_t>& before, const std::vector<uint32_t>& after) {
  uint32_t moved = 0;
  for (size_t n = 0; n < before.size(); ++n) moved += before[n] != after[n];
  return moved;
}

TEST(BalanceIpHash, TheSameKeyInEveryWorker) {
  Pool pool(MakeSpecs(20), "ip-hash", 3);
  for (uint64_t key = 0; key < 500; ++key) {
    const Lease a = pool.Take(0, {.key = key, .now_ns = kSecond});
    const Lease b = pool.Take(2, {.key = key, .now_ns = kSecond});
    EXPECT_EQ(a.slot, b.slot);
    pool.group(0).Release(a);
    pool.group(2).Release(b);
  }
}

TEST(BalanceIpHash, KeysAreEvenOverBackends) {
  PolicyPool pool(MakeSpecs(100));
  std::vector<uint64_t> keys(100);
  for (const uint32_t b : Placement(pool)) ++keys[b];
  EXPECT_LT(ChiSquare(keys, std::vector<double>(100, 1)), kChiSquare99);
}

TEST(BalanceIpHash, KeysAreByWeight) {
  const std::vector<uint32_t> weights{100, 100, 50, 50, 25, 10, 200, 80, 40, 20};
  PolicyPool pool(WeightedSpecs(weights));
  std::vector<uint64_t> keys(10);
  for (const uint32_t b : Placement(pool)) ++keys[b];
  EXPECT_LT(ChiSquare(keys, {weights.begin(), weights.end()}), kChiSquare9);
}

TEST(BalanceIpHash, RemovingOneOfAHundredMovesAboutOnePercent) {
  auto specs = MakeSpecs(100);
  PolicyPool before(specs);
  specs.erase(specs.begin() + 42);
  PolicyPool after(specs);
  const auto placed = Placement(before), placed_after = Placement(after);
  const uint32_t moved = Moved(placed, placed_after);
  EXPECT_GE(moved, kKeys * 8 / 1000);
  EXPECT_LE(moved, kKeys * 25 / 1000);
  uint32_t strays = 0;  // moved although their backend stayed
  for (uint32_t n = 0; n < kKeys; ++n) strays += placed[n] != 42 && placed[n] != placed_after[n];
  EXPECT_LE(strays, kKeys * 15 / 1000);
}

TEST(BalanceIpHash, OneThatIsDownMovesOnlyItsOwnKeys) {
  PolicyPool pool(MakeSpecs(100));
  const auto placed = Placement(pool);
  pool.SetHealth(42, HealthState::kDown);
  const auto placed_after = Placement(pool);
  std::vector<uint64_t> heirs(100);
  for (uint32_t n = 0; n < kKeys; ++n) {
    if (placed[n] != 42) {
      ASSERT_EQ(placed_after[n], placed[n]);
    } else {
      ++heirs[placed_after[n]];
    }
  }
  EXPECT_EQ(heirs[42], 0u);
  EXPECT_LT(*std::max_element(heirs.begin(), heirs.end()), 20u)
      << "they are spread, not dumped on a neighbour";
}

TEST(BalanceIpHash, OrderOfTheConfigurationDoesNotMatter) {
  auto specs = WeightedSpecs({100, 50, 100, 30, 100, 100, 200, 100});
  PolicyPool before(specs);
  std::reverse(specs.begin(), specs.end());
  std::swap(specs[1], specs[4]);
  for (uint32_t place = 0; place < specs.size(); ++place) specs[place].order = place;
  PolicyPool after(specs);
  EXPECT_EQ(Moved(Placement(before), Placement(after)), 0u);
}

TEST(BalanceIpHash, OneAddressMoreTakesItsShareFromAll) {
  PolicyPool before(MakeSpecs(20)), after(MakeSpecs(21));
  const auto placed = Placement(before), placed_after = Placement(after);
  uint32_t taken = 0, strays = 0;
  for (uint32_t n = 0; n < kKeys; ++n) {
    taken += placed_after[n] == 20;
    strays += placed_after[n] != 20 && placed_after[n] != placed[n];
  }
  EXPECT_NEAR(taken, kKeys / 21.0, kKeys / 100.0);
  EXPECT_LE(strays, kKeys * 3 / 100);
}

TEST(BalanceIpHash, LoadIsBounded) {
  PolicyPool pool(MakeSpecs(10));
  BalanceIpHash balancer(pool.entries(), 0);
  const uint64_t hot = Key(7);
  for (int n = 0; n < 1000; ++n) {
    pool.now_ns += 10 * kMilli;  // the sums are always fresh
    const uint32_t i = pool.Pick(balancer, n % 2 == 0 ? hot : Key(static_cast<uint32_t>(1000 + n)));
    ASSERT_NE(i, kNoIndex);
    pool.in_flight(i).fetch_add(1);
  }
  for (uint32_t i = 0; i < 10; ++i) {
    EXPECT_LE(pool.in_flight(i), 1.5 * 1000 / 10 + 2) << "at most 1.5 times the share";
  }
}

TEST(BalanceIpHash, FewRequestsAreNotMovedForTheBound) {
  PolicyPool pool(MakeSpecs(10));
  BalanceIpHash balancer(pool.entries(), 0);
  const uint32_t home = pool.Pick(balancer, Key(7));
  for (int n = 0; n < 16; ++n) {
    EXPECT_EQ(pool.Pick(balancer, Key(7)), home);
    pool.in_flight(home).fetch_add(1);
  }
  EXPECT_NE(pool.Pick(balancer, Key(7)), home) << "and then it is, to the key's second choice";
  pool.in_flight(home) = 0;
  EXPECT_EQ(pool.Pick(balancer, Key(7)), home) << "and comes back";
}

TEST(BalanceIpHash, EverybodyAtTheBoundStillServes) {
  PolicyPool pool(MakeSpecs(3));
  BalanceIpHash balancer(pool.entries(), 0);
  for (uint32_t i = 0; i < 3; ++i) pool.in_flight(i) = 100 + i;
  for (uint32_t n = 0; n < 100; ++n) EXPECT_NE(pool.Pick(balancer, Key(n)), kNoIndex);
}

TEST(BalanceIpHash, OnlyOneOfManyIsLeft) {
  PolicyPool pool(MakeSpecs(300));
  for (uint32_t i = 0; i < 300; ++i) {
    if (i != 123) pool.SetHealth(i, HealthState::kDown);
  }
  BalanceIpHash balancer(pool.entries(), 0);
  for (uint32_t n = 0; n < 50; ++n) EXPECT_EQ(pool.Pick(balancer, Key(n)), 123u);
  pool.SetHealth(123, HealthState::kDown);
  EXPECT_EQ(pool.Pick(balancer, Key(1)), kNoIndex);
}

// The tier of backups has a table of its own: consistent too, and only asked when no primary
// serves.
TEST(BalanceIpHash, BackupsHashAmongThemselves) {
  auto specs = MakeSpecs(8);
  for (uint32_t n = 4; n < 8; ++n) specs[n].backup = true;
  Pool pool(specs, "ip-hash", 2);
  std::vector<uint32_t> primary_of;
  for (uint64_t key = 0; key < 200; ++key) {
    const Lease lease = pool.Take(0, {.key = key, .now_ns = kSecond});
    EXPECT_LT(pool.group().Slot(lease.slot).order, 4u);
    primary_of.push_back(lease.slot);
    pool.group().Release(lease);
  }
  for (uint32_t n = 0; n < 4; ++n) pool.SetHealth(n, HealthState::kDown);
  std::vector<uint64_t> shares(8);
  for (uint64_t key = 0; key < 200; ++key) {
    const Lease a = pool.Take(0, {.key = key, .now_ns = 2 * kSecond});
    const Lease b = pool.Take(1, {.key = key, .now_ns = 2 * kSecond});
    EXPECT_EQ(a.slot, b.slot);
    ++shares[pool.group().Slot(a.slot).order];
    pool.group(0).Release(a);
    pool.group(1).Release(b);
  }
  for (uint32_t n = 4; n < 8; ++n) EXPECT_GT(shares[n], 20u);
  for (uint32_t n = 0; n < 4; ++n) pool.SetHealth(n, HealthState::kUp);
  for (uint64_t key = 0; key < 200; ++key) {
    const Lease lease = pool.Take(0, {.key = key, .now_ns = 3 * kSecond});
    EXPECT_EQ(lease.slot, primary_of[key]) << "everybody is back home";
    pool.group().Release(lease);
  }
}

}  // namespace
}  // namespace ub
