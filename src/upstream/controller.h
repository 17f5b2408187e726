// The controller process: the one writer of the backend table while the balancer runs.
//
// Follows the master's messages; a configuration becomes table entries here, and workers see them by the table's version.
// Respawned when it dies: what it knows is in the segment, and its first Apply repairs whatever it had left half done.
#ifndef UB_UPSTREAM_CONTROLLER_H_
#define UB_UPSTREAM_CONTROLLER_H_

#include <memory>
#include <string>

#include "core/child_process.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"
#include "upstream/backend_table.h"
#include "upstream/health_checker.h"

namespace ub {

// The table entries that a configuration asks for; names are looked up (blocking).
Result<std::vector<BackendSpec>> BackendSpecs(const Config& config);

// Fills the table before the first fork, when the master is its one writer.
Status PrepareBackends(const Config& config, ShmSegment& shm);

class Controller {
 public:
  // `child` and `probes` outlive it.
  Controller(ChildContext* child, std::unique_ptr<EventLoop> loop, HealthProbeFactory* probes);

  // Serves until it is told to leave; the exit status.
  int Run();

 private:
  static void OnChannel(void* self, unsigned what);
  static void OnRetry(void* self);
  void Handle(Message message);
  void TakeConfig(const Message& message);
  // Brings the table to what the configuration says; comes back by itself while slots are still in use.
  Status ApplyBackends();
  void Acknowledge(std::string error);

  ChildContext* const child_;
  std::unique_ptr<EventLoop> loop_;
  BackendTable table_;
  HealthChecker checker_;
  FdWatcher channel_watcher_;
  Timer retry_;
};

// Body of the controller; main.cc binds the probes and makes a ChildMain of it.
int ControllerMain(ChildContext& child, HealthProbeFactory* probes);

}  // namespace ub

#endif  // UB_UPSTREAM_CONTROLLER_H_
