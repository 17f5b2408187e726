#include "upstream/smooth_schedule.h"

#include <cmath>

#include "policy_fixture.h"

namespace ub {
namespace {

const std::vector<std::vector<uint32_t>> kWeightSets = {
    {1},      {1, 1, 1},      {100, 100, 100, 100}, {5, 1, 1},          {1, 2, 3, 4, 5, 6, 7},
    {100, 1}, {1, 100, 1, 7}, {3, 3, 3, 1000},      {99, 98, 97, 1, 1}, {256, 100, 37, 9, 2},
};

TEST(SmoothSchedule, EveryPrefixIsWithinOneTurnOfTheIdeal) {
  for (const auto& weights : kWeightSets) {
    PolicyPool pool(WeightedSpecs(weights));
    SmoothSchedule schedule(pool.entries(), 0);
    double total = 0;
    for (const uint32_t weight : weights) total += weight;
    std::vector<uint64_t> given(weights.size());
    for (uint64_t turn = 1; turn <= 2 * schedule.cycle(); ++turn) {
      ++given[schedule.Next()];
      for (size_t i = 0; i < weights.size(); ++i) {
        const double ideal = static_cast<double>(turn) * weights[i] / total;
        ASSERT_LE(std::abs(static_cast<double>(given[i]) - ideal), 1.0)
            << "turn " << turn << " entry " << i;
      }
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(given[i], 2 * schedule.cycle() * weights[i] / static_cast<uint64_t>(total)) << i;
    }
  }
}

TEST(SmoothSchedule, CycleIsTheSumOverTheCommonDivisor) {
  PolicyPool pool(WeightedSpecs({100, 200, 300}));
  EXPECT_EQ(SmoothSchedule(pool.entries(), 0).cycle(), 6u);
}

TEST(SmoothSchedule, ADominantEntryNeverWaitsForItsTurn) {
  PolicyPool pool(WeightedSpecs({5, 1, 1}));
  SmoothSchedule schedule(pool.entries(), 0);
  int others = 0;
  for (int n = 0; n < 70; ++n) {
    others = schedule.Next() == 0 ? 0 : others + 1;
    EXPECT_LE(others, 1) << "two turns in a row went to the small ones";
  }
}

TEST(SmoothSchedule, PhasesBeginAtDifferentEntries) {
  PolicyPool pool(MakeSpecs(8));
  std::vector<bool> begun(8);
  for (uint64_t phase = 0; phase < 8; ++phase)
    begun[SmoothSchedule(pool.entries(), phase).Next()] = true;
  for (uint32_t i = 0; i < 8; ++i) EXPECT_TRUE(begun[i]) << i;
}

TEST(SmoothSchedule, SharesAmongTheUsableStayByWeight) {
  PolicyPool pool(WeightedSpecs({10, 20, 30, 40}));
  pool.SetHealth(3, HealthState::kDown);
  SmoothSchedule schedule(pool.entries(), 0);
  std::vector<uint64_t> given(4);
  for (int n = 0; n < 6000; ++n) {
    Candidates among = pool.Among();
    ++given[schedule.Pick(among)];
  }
  EXPECT_NEAR(static_cast<double>(given[0]), 1000, 10);
  EXPECT_NEAR(static_cast<double>(given[1]), 2000, 10);
  EXPECT_NEAR(static_cast<double>(given[2]), 3000, 10);
  EXPECT_EQ(given[3], 0u);
}

// So few are usable that proposals run dry: the walk gives the same shares.
TEST(SmoothSchedule, SharesHoldWhereNearlyAllAreDown) {
  std::vector<uint32_t> weights(200, 1000);
  weights[7] = 1;
  weights[90] = 3;
  PolicyPool pool(WeightedSpecs(weights));
  for (uint32_t i = 0; i < 200; ++i) {
    if (i != 7 && i != 90) pool.SetHealth(i, HealthState::kDown);
  }
  SmoothSchedule schedule(pool.entries(), 0);
  std::vector<uint64_t> given(200);
  for (int n = 0; n < 4000; ++n) {
    Candidates among = pool.Among();
    ++given[schedule.Pick(among)];
  }
  EXPECT_NEAR(static_cast<double>(given[7]), 1000, 40);
  EXPECT_NEAR(static_cast<double>(given[90]), 3000, 40);
}

TEST(SmoothSchedule, NoneUsableIsSaid) {
  PolicyPool pool(WeightedSpecs({1, 2}));
  pool.SetHealth(0, HealthState::kDown);
  pool.SetHealth(1, HealthState::kRecovering);
  SmoothSchedule schedule(pool.entries(), 0);
  Candidates among = pool.Among();
  EXPECT_EQ(schedule.Pick(among), kNoIndex);
}

}  // namespace
}  // namespace ub
