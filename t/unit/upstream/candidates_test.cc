#include "upstream/candidates.h"

#include "policy_fixture.h"

namespace ub {
namespace {

TEST(Candidates, EveryHealthStateByTheTable) {
  PolicyPool pool(MakeSpecs(1));
  const std::pair<HealthState, bool> table[] = {{HealthState::kUnknown, true},
                                                {HealthState::kUp, true},
                                                {HealthState::kDegraded, true},
                                                {HealthState::kDown, false},
                                                {HealthState::kRecovering, false}};
  for (const auto& [health, usable] : table) {
    pool.SetHealth(0, health);
    pool.settings = {};
    EXPECT_EQ(pool.Among().Usable(0), usable) << HealthStateName(health);
    pool.settings.check_health = false;
    EXPECT_TRUE(pool.Among().Usable(0));
    pool.settings = {};
    pool.settings.panic = true;
    EXPECT_TRUE(pool.Among().Usable(0));
  }
}

TEST(Candidates, AdministrativeStatesHoldEvenInPanic) {
  PolicyPool pool(MakeSpecs(1));
  pool.settings.panic = true;
  for (const AdminState admin : {AdminState::kDrain, AdminState::kMaint}) {
    pool.pool().SetAdmin(0, admin);
    pool.mutable_view().Refresh();
    EXPECT_FALSE(pool.Among().Usable(0));
  }
}

TEST(Candidates, FullIsSeenAndSaid) {
  auto specs = MakeSpecs(2);
  specs[0].max_connections = 2;
  PolicyPool pool(specs);
  pool.in_flight(0, 0) = 1;
  {
    Candidates among = pool.Among();
    EXPECT_TRUE(among.Usable(0));
    EXPECT_FALSE(among.saw_full());
  }
  pool.in_flight(0, 1) = 1;  // another process's
  Candidates among = pool.Among();
  EXPECT_FALSE(among.Usable(0));
  EXPECT_TRUE(among.saw_full());
  pool.in_flight(1) = 1'000'000;
  EXPECT_TRUE(among.Usable(1)) << "0 is no limit";
}

TEST(Candidates, AFullBackendThatIsDownIsNotSaidToBeFull) {
  auto specs = MakeSpecs(1);
  specs[0].max_connections = 1;
  PolicyPool pool(specs);
  pool.in_flight(0) = 1;
  pool.SetHealth(0, HealthState::kDown);
  Candidates among = pool.Among();
  EXPECT_FALSE(among.Usable(0));
  EXPECT_FALSE(among.saw_full());
}

TEST(Candidates, TriedAndExcludedAreNotOffered) {
  PolicyPool pool(MakeSpecs(12));
  const uint32_t tried[] = {pool.entries()[3].slot};
  Candidates among = pool.Among(tried);
  EXPECT_FALSE(among.Usable(3));
  EXPECT_FALSE(among.excluded_all());
  for (uint32_t i = 4; i < 12; ++i) among.Exclude(i, false);
  EXPECT_TRUE(among.excluded_all());
  EXPECT_FALSE(among.saw_full());
  for (uint32_t i = 0; i < 12; ++i) EXPECT_EQ(among.Usable(i), i < 3) << i;
  among.Exclude(0, true);  // beyond what is kept: only the reason is noted
  EXPECT_TRUE(among.saw_full());
}

TEST(Candidates, BreakerAndItsTickets) {
  PolicyPool pool(MakeSpecs(1));
  const uint64_t now_ms = pool.now_ns / kMilli;
  pool.slot(0).breaker = BreakerWord{CircuitState::kOpen, 1, now_ms + 1}.Pack();
  EXPECT_FALSE(pool.Among().Usable(0));
  pool.slot(0).breaker = BreakerWord{CircuitState::kOpen, 1, now_ms}.Pack();
  EXPECT_TRUE(pool.Among().Usable(0)) << "due";
  pool.slot(0).breaker = BreakerWord{CircuitState::kHalfOpen, 2, 0}.Pack();
  pool.settings.breaker.half_open_requests = 2;
  pool.shm().tickets(0, 0) = 1;
  EXPECT_TRUE(pool.Among().Usable(0));
  pool.shm().tickets(2, 0) = 1;
  EXPECT_FALSE(pool.Among().Usable(0));
  pool.settings.breaker.enabled = false;
  EXPECT_TRUE(pool.Among().Usable(0));
}

TEST(Candidates, SlowStartLowersTheWeight) {
  PolicyPool pool(WeightedSpecs({100}));
  EXPECT_EQ(pool.Among().Weight(0), 1600u);
  pool.settings.slow_start_ns = 10 * kSecond;
  EXPECT_EQ(pool.Among().Weight(0), 1600u) << "never was down";
  const auto at = [&](uint64_t since_start_ns) {
    pool.slot(0).slow_start_since = pool.now_ns - since_start_ns;
    return pool.Among().Weight(0);
  };
  EXPECT_EQ(at(0), 160u) << "the floor";
  EXPECT_EQ(at(5 * kSecond), 800u);
  EXPECT_EQ(at(10 * kSecond), 1600u);
  EXPECT_EQ(at(100 * kSecond), 1600u);
  pool.slot(0).slow_start_since = pool.now_ns + kSecond;
  EXPECT_EQ(pool.Among().Weight(0), 160u) << "a stamp from a moment after this turn's clock";
}

TEST(Candidates, SlowStartPermitsItsShareOfProposals) {
  PolicyPool pool(MakeSpecs(1));
  pool.settings.slow_start_ns = 10 * kSecond;
  pool.slot(0).slow_start_since = pool.now_ns - 3 * kSecond;
  Candidates among = pool.Among();
  int permitted = 0;
  for (int n = 0; n < 10'000; ++n) permitted += among.Permits(0);
  EXPECT_NEAR(permitted, 3000, 200);
  EXPECT_TRUE(among.Usable(0));
}

TEST(Candidates, ScanGoesRound) {
  PolicyPool pool(MakeSpecs(4));
  pool.SetHealth(3, HealthState::kDown);
  pool.SetHealth(0, HealthState::kDown);
  EXPECT_EQ(pool.Among().ScanFrom(2), 2u);
  EXPECT_EQ(pool.Among().ScanFrom(3), 1u);
  pool.SetHealth(1, HealthState::kDown);
  pool.SetHealth(2, HealthState::kDown);
  EXPECT_EQ(pool.Among().ScanFrom(1), kNoIndex);
}

TEST(Candidates, DrawByWeightIsByWeight) {
  const std::vector<uint32_t> weights{1, 2, 3, 4, 5, 10, 20, 30, 40, 50};
  PolicyPool pool(WeightedSpecs(weights));
  std::vector<uint64_t> drawn(10);
  Candidates among = pool.Among();
  for (int n = 0; n < 200'000; ++n) ++drawn[among.DrawByWeight()];
  EXPECT_LT(ChiSquare(drawn, {weights.begin(), weights.end()}), kChiSquare9);
  for (uint32_t i = 0; i < 10; ++i) pool.SetHealth(i, HealthState::kDown);
  EXPECT_EQ(pool.Among().DrawByWeight(), kNoIndex);
}

}  // namespace
}  // namespace ub
