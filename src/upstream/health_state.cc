#include "upstream/health_state.h"

#include <algorithm>

namespace ub {

namespace {

HealthRecord AfterSuccess(HealthRecord record, const HealthThresholds& thresholds) {
  record.failures = 0;
  record.successes += record.successes < UINT32_MAX;
  const bool enough = record.successes >= std::max(thresholds.min_successes, 1u);
  switch (record.state) {
    case HealthState::kUnknown:
    case HealthState::kRecovering:
      if (enough) record.state = HealthState::kUp;
      break;
    case HealthState::kDown:
      record.state = enough ? HealthState::kUp : HealthState::kRecovering;
      break;
    case HealthState::kDegraded:  // it never was out of use, so one good probe clears it
    case HealthState::kUp:
      record.state = HealthState::kUp;
      break;
  }
  return record;
}

HealthRecord AfterFailure(HealthRecord record, const HealthThresholds& thresholds) {
  record.successes = 0;
  record.failures += record.failures < UINT32_MAX;
  const bool enough = record.failures >= std::max(thresholds.max_failures, 1u);
  // A recovering backend has shown nothing yet: one failure and it is down again.
  const bool was_out = !HealthUsable(record.state);
  record.state = enough || was_out ? HealthState::kDown : HealthState::kDegraded;
  return record;
}

}  // namespace

std::string_view HealthStateName(HealthState state) {
  switch (state) {
    case HealthState::kUnknown: return "unknown";
    case HealthState::kUp: return "up";
    case HealthState::kDegraded: return "degraded";
    case HealthState::kDown: return "down";
    case HealthState::kRecovering: return "recovering";
  }
  return "unknown";
}

bool HealthRecord::Settling(const HealthThresholds& thresholds) const {
  switch (state) {
    case HealthState::kUnknown:
    case HealthState::kDegraded:
    case HealthState::kRecovering: return true;
    case HealthState::kUp: return failures != 0;
    case HealthState::kDown: return successes != 0 && successes < thresholds.min_successes;
  }
  return false;
}

HealthRecord AfterProbe(HealthRecord record, bool success, const HealthThresholds& thresholds) {
  return success ? AfterSuccess(record, thresholds) : AfterFailure(record, thresholds);
}

HealthRecord AfterPassive(HealthRecord record, uint32_t failures) {
  if (failures == 0) return record;
  if (record.state == HealthState::kUp || record.state == HealthState::kUnknown) {
    record.state = HealthState::kDegraded;
  }
  return record;
}

}  // namespace ub
