// The controller process: the one writer of the backend table while the balancer runs.
//
// Follows the master's messages; a configuration becomes table entries here, and workers see them by the table's version.
// Names are looked up again every resolve_interval_ms; one that cannot be looked up keeps its last good addresses.
// Respawned when it dies: what it knows is in the segment, and its first Apply repairs whatever it had left half done.
#ifndef UB_UPSTREAM_CONTROLLER_H_
#define UB_UPSTREAM_CONTROLLER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/child_process.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"
#include "upstream/backend_table.h"
#include "upstream/certificate_watch.h"
#include "upstream/health_checker.h"
#include "upstream/management.h"
#include "upstream/resolver.h"
#include "upstream/runtime_state.h"

namespace ub {

// The table entries that a configuration asks for, of names that were looked up. Error: kNotFound (retryable) where a
// name has no answer.
Result<std::vector<BackendSpec>> BackendSpecs(const Config& config, const HostAnswers& answers);

// Fills the table before the first fork, when the master is its one writer.
Status PrepareBackends(const Config& config, ShmSegment& shm);

class Controller final : public ManagementHost {
 public:
  // `child`, `probes` and `management` outlive it; `management` may be null.
  Controller(ChildContext* child, std::unique_ptr<EventLoop> loop, HealthProbeFactory* probes,
             ManagementService* management);

  // Serves until it is told to leave; the exit status.
  int Run();

  // ManagementHost; controller_changes.cc
  EventLoop* loop() override { return loop_.get(); }
  const ShmSegment& shm() const override { return *child_->shm; }
  std::shared_ptr<const Config> config() const override { return child_->config; }
  uint64_t generation() const override { return child_->generation; }
  bool draining() const override { return draining_; }
  Status AddBackend(const BackendConfig& backend) override;
  Status RemoveBackend(std::string_view address, uint32_t* in_flight) override;
  Status SetWeight(std::string_view address, uint32_t weight) override;
  Status SetDrain(std::string_view address, bool drain) override;
  Status RequestReload(uint64_t ticket, bool reset) override;

 private:
  static void OnChannel(void* self, unsigned what);
  static void OnRetry(void* self);
  static void OnResolveTime(void* self);
  void Handle(Message message);
  void TakeConfig(const Message& message);
  // The configuration with what was added at run time.
  Config Wanted() const { return state_.WithAdded(*child_->config); }
  // Applies a configuration that has just come, where need be once its new names are looked up, and acknowledges it.
  void TakeBackends();
  // What came of it: tells the master where it waits, else the log.
  void Settle(const Status& status);
  void Resolve();
  void OnResolved(const HostAnswers& answers);
  // Error kUnavailable: a new configuration waits for names, and no table can be made.
  Status NamesKnown() const;
  // What the table has of names that nobody could ask for yet.
  void RecallNames();
  // Keeps the good answers; true where one is new.
  bool Learn(const HostAnswers& answers);
  // Brings the table to what the configuration says; comes back by itself while slots are still in use.
  Status ApplyBackends();
  void Acknowledge(std::string error);

  // controller_changes.cc
  static void OnRemoval(void* self);
  static void OnDeferred(void* self);
  void StartManagement();
  // What a controller begins with: what the one before was told, or the state file.
  void LoadState();
  // What stays of it at a reload; `state_fd`: what the state file holds, -1: there is none.
  void ReloadState(int state_fd);
  // Takes what was changed at run time into the table's next content; false: `spec` leaves it.
  bool Override(BackendSpec* spec);
  // What an address means that has not been removed: itself, or all behind a name.
  std::vector<BackendSpec> SpecsOf(std::string_view address) const;
  std::vector<uint32_t> SlotsOf(std::string_view address) const;
  // Where the configuration has it, by itself or behind a name, and whether it is there once nothing is said of it alone.
  struct Given {
    const BackendConfig* file = nullptr;
    bool there = false;
  };
  Given GivenAs(const std::string& address) const;
  // Makes `next` what was changed: kept first, then applied. On an error all is as before.
  Status Change(RuntimeState next);
  // Looks up a backend's name that is not known yet (blocking). Error kInvalid: it cannot be resolved.
  Status LearnName(const BackendConfig& backend);
  // Has the master keep it, and waits for its word: some milliseconds with a state file.
  Status Keep(const RuntimeState& state);

  ChildContext* const child_;
  std::unique_ptr<EventLoop> loop_;
  BackendTable table_;
  HealthChecker checker_;
  FdWatcher channel_watcher_;
  Timer retry_;
  Resolver resolver_;
  Timer resolve_;
  HostAnswers known_;             // the last good answer of each name that was ever asked for
  CertificateWatch certificates_;
  std::set<std::string> failing_;  // names whose last look-up failed
  bool learned_ = false;           // something that the table does not have yet
  bool unacknowledged_ = false;   // the configuration waits for names
  ManagementService* const management_;
  RuntimeState state_;
  // Removed backends that still have requests in flight, and until when they are waited for.
  std::map<std::string, uint64_t> removing_;
  Timer removal_;
  uint64_t states_kept_ = 0;
  std::vector<Message> deferred_;  // came while the master's word on a state was waited for
  Task deferred_task_{loop_.get(), &Controller::OnDeferred, this};
  bool draining_ = false;
  bool reset_pending_ = false;  // the reload that is under way drops what was changed
};

// Body of the controller; main.cc binds the probes and makes a ChildMain of it.
int ControllerMain(ChildContext& child, HealthProbeFactory* probes,
                   ManagementService* management = nullptr);

}  // namespace ub

#endif  // UB_UPSTREAM_CONTROLLER_H_
