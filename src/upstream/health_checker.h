// The prober: checks every backend of the table on its own clock and writes the verdict to the shared slot.
//
// Controller process. One timer and at most one probe a backend; checks are spread over the interval and come faster
// while a verdict is about to change. A respawned controller goes on from what stands in the slots.
#ifndef UB_UPSTREAM_HEALTH_CHECKER_H_
#define UB_UPSTREAM_HEALTH_CHECKER_H_

#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/random.h"
#include "core/shm_segment.h"
#include "event/event_loop.h"
#include "upstream/backend_table.h"
#include "upstream/health_probe.h"
#include "upstream/health_state.h"

namespace ub {

class HealthChecker {
 public:
  // All outlive it.
  HealthChecker(EventLoop* loop, ShmSegment* shm, BackendTable* table, HealthProbeFactory* factory);
  ~HealthChecker();

  // Takes new settings, and the table as it is now.
  void Configure(std::shared_ptr<const Config> config);
  // The table changed: begins with new backends, forgets those that are gone.
  void Rescan();

 private:
  class Target;
  friend class Target;
  static void OnPassive(void* self);
  void Drop(std::unique_ptr<Target>* target);
  static void CountAsUp(BackendSlot* slot, HealthState before);
  void Write(const Target& target, const HealthRecord& before, std::string_view reason);
  HealthThresholds thresholds() const;

  EventLoop* loop_;
  ShmSegment* shm_;
  BackendTable* table_;
  HealthProbeFactory* factory_;
  std::shared_ptr<const Config> config_;
  BackendSecurity security_;
  Random random_;
  std::vector<std::unique_ptr<Target>> targets_;  // by slot; null where there is none
  Timer passive_;                                 // looks for failures that workers reported
};

}  // namespace ub

#endif  // UB_UPSTREAM_HEALTH_CHECKER_H_
