// The health of one backend as a pure state machine: no clock, no I/O, no shared memory.
//
// The controller's prober keeps one a backend and feeds it; workers only ask HealthUsable.
//
//   unknown   not judged yet; used
//   up        used
//   degraded  fails, but fewer times in a row than max_failures, or workers report failures; still used
//   down      max_failures failed probes in a row; not used
//   recovering  was down, has fewer successes in a row than min_successes; not used yet
//
// What workers report (passive results) can degrade a backend and so have it probed sooner, never take it down: shutting
// out on passive failures is the circuit breaker's task, which knows how to come back without probes.
#ifndef UB_UPSTREAM_HEALTH_STATE_H_
#define UB_UPSTREAM_HEALTH_STATE_H_

#include <cstdint>
#include <string_view>

#include "core/shm_layout.h"

namespace ub {

std::string_view HealthStateName(HealthState state);

inline bool HealthUsable(HealthState state) {
  return state != HealthState::kDown && state != HealthState::kRecovering;
}

struct HealthThresholds {
  uint32_t max_failures = 3;
  uint32_t min_successes = 2;
};

struct HealthRecord {
  HealthState state = HealthState::kUnknown;
  uint32_t failures = 0;   // probes in a row
  uint32_t successes = 0;  // probes in a row
  bool operator==(const HealthRecord&) const = default;

  // The state is about to change: probe sooner.
  bool Settling(const HealthThresholds& thresholds) const;
};

// The record after one more probe.
HealthRecord AfterProbe(HealthRecord record, bool success, const HealthThresholds& thresholds);
// The record after workers reported `failures` requests in a row that failed (0: the last one succeeded).
HealthRecord AfterPassive(HealthRecord record, uint32_t failures);

}  // namespace ub

#endif  // UB_UPSTREAM_HEALTH_STATE_H_
