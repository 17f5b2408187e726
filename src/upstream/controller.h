// The controller process: the one writer of the backend table while the balancer runs.
//
// Follows the master's messages; a configuration becomes table entries here, and workers see them by the table's version.
// Names are looked up again every resolve_interval_ms; one that cannot be looked up keeps its last good addresses.
// Respawned when it dies: what it knows is in the segment, and its first Apply repairs whatever it had left half done.
#ifndef UB_UPSTREAM_CONTROLLER_H_
#define UB_UPSTREAM_CONTROLLER_H_

#include <memory>
#include <set>
#include <string>

#include "core/child_process.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"
#include "upstream/backend_table.h"
#include "upstream/health_checker.h"
#include "upstream/resolver.h"

namespace ub {

// The table entries that a configuration asks for, of names that were looked up. Error: kNotFound (retryable) where a
// name has no answer.
Result<std::vector<BackendSpec>> BackendSpecs(const Config& config, const HostAnswers& answers);

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
  static void OnResolveTime(void* self);
  void Handle(Message message);
  void TakeConfig(const Message& message);
  // Applies a configuration that has just come, where need be once its new names are looked up, and acknowledges it.
  void TakeBackends();
  // What came of it: tells the master where it waits, else the log.
  void Settle(const Status& status);
  void Resolve();
  void OnResolved(const HostAnswers& answers);
  // Keeps the good answers; true where one is new.
  bool Learn(const HostAnswers& answers);
  // Brings the table to what the configuration says; comes back by itself while slots are still in use.
  Status ApplyBackends();
  void Acknowledge(std::string error);

  ChildContext* const child_;
  std::unique_ptr<EventLoop> loop_;
  BackendTable table_;
  HealthChecker checker_;
  FdWatcher channel_watcher_;
  Timer retry_;
  Resolver resolver_;
  Timer resolve_;
  HostAnswers known_;             // the last good answer of each name that was ever asked for
  std::set<std::string> failing_;  // names whose last look-up failed
  bool unacknowledged_ = false;   // the configuration waits for names
};

// Body of the controller; main.cc binds the probes and makes a ChildMain of it.
int ControllerMain(ChildContext& child, HealthProbeFactory* probes);

}  // namespace ub

#endif  // UB_UPSTREAM_CONTROLLER_H_
