#include "upstream/health_state.h"

#include <gtest/gtest.h>

#include <string>

namespace ub {
namespace {

using enum HealthState;
constexpr HealthThresholds kThresholds{3, 2};

// One probe in each state and with each count that matters: what comes of it.
struct Row {
  HealthRecord before;
  bool success;
  HealthRecord after;
};

TEST(HealthState, ProbesByTheTable) {
  const Row rows[] = {
      {{kUnknown, 0, 0}, true, {kUnknown, 0, 1}},
      {{kUnknown, 0, 1}, true, {kUp, 0, 2}},
      {{kUnknown, 0, 1}, false, {kDegraded, 1, 0}},
      {{kUnknown, 2, 0}, false, {kDown, 3, 0}},
      {{kUp, 0, 9}, true, {kUp, 0, 10}},
      {{kUp, 0, 9}, false, {kDegraded, 1, 0}},
      {{kDegraded, 1, 0}, false, {kDegraded, 2, 0}},
      {{kDegraded, 2, 0}, false, {kDown, 3, 0}},
      {{kDegraded, 2, 0}, true, {kUp, 0, 1}},
      {{kDown, 3, 0}, false, {kDown, 4, 0}},
      {{kDown, 3, 0}, true, {kRecovering, 0, 1}},
      {{kRecovering, 0, 1}, true, {kUp, 0, 2}},
      {{kRecovering, 0, 1}, false, {kDown, 1, 0}},
      {{kUp, UINT32_MAX, 0}, false, {kDown, UINT32_MAX, 0}},
      {{kUp, 0, UINT32_MAX}, true, {kUp, 0, UINT32_MAX}},
  };
  for (const Row& row : rows) {
    const HealthRecord after = AfterProbe(row.before, row.success, kThresholds);
    EXPECT_EQ(after, row.after) << HealthStateName(row.before.state) << " " << row.before.failures
                                << "/" << row.before.successes
                                << (row.success ? " passed" : " failed") << " became "
                                << HealthStateName(after.state) << " " << after.failures << "/"
                                << after.successes;
  }
}

TEST(HealthState, ThresholdsOfOneAndZero) {
  for (const uint32_t threshold : {0u, 1u}) {
    const HealthThresholds once{threshold, threshold};
    EXPECT_EQ(AfterProbe({kUp, 0, 5}, false, once).state, kDown);
    EXPECT_EQ(AfterProbe({kDown, 1, 0}, true, once).state, kUp) << "no recovering in between";
    EXPECT_EQ(AfterProbe({kUnknown, 0, 0}, true, once).state, kUp);
  }
}

TEST(HealthState, UsableUnlessOut) {
  for (const HealthState state : {kUnknown, kUp, kDegraded}) EXPECT_TRUE(HealthUsable(state));
  for (const HealthState state : {kDown, kRecovering}) EXPECT_FALSE(HealthUsable(state));
}

TEST(HealthState, WorkersReportsDegradeAndNothingMore) {
  EXPECT_EQ(AfterPassive({kUp, 0, 5}, 1).state, kDegraded);
  EXPECT_EQ(AfterPassive({kUnknown, 0, 0}, 1).state, kDegraded);
  EXPECT_EQ(AfterPassive({kDegraded, 1, 0}, 1000).state, kDegraded);
  EXPECT_EQ(AfterPassive({kDown, 3, 0}, 1000).state, kDown);
  EXPECT_EQ(AfterPassive({kRecovering, 0, 1}, 1000).state, kRecovering);
  EXPECT_EQ(AfterPassive({kUp, 0, 5}, 0), (HealthRecord{kUp, 0, 5}));
}

TEST(HealthState, SettlingWhileAVerdictIsNear) {
  EXPECT_TRUE((HealthRecord{kUnknown, 0, 0}).Settling(kThresholds));
  EXPECT_TRUE((HealthRecord{kDegraded, 1, 0}).Settling(kThresholds));
  EXPECT_TRUE((HealthRecord{kRecovering, 0, 1}).Settling(kThresholds));
  EXPECT_FALSE((HealthRecord{kUp, 0, 5}).Settling(kThresholds));
  EXPECT_FALSE((HealthRecord{kDown, 3, 0}).Settling(kThresholds))
      << "one that stays down is not hammered";
}

TEST(HealthState, NamesAreTheContracts) {
  std::string names;
  for (const HealthState state : {kUnknown, kUp, kDegraded, kDown, kRecovering}) {
    names += std::string(HealthStateName(state)) + " ";
  }
  EXPECT_EQ(names, "unknown up degraded down recovering ");
}

}  // namespace
}  // namespace ub
