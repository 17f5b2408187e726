// The master: owns configuration, listening sockets, logs, pid file and the shared segment; forks
// the children and supervises them. It runs no event loop and never touches a client's bytes.
//
// main() makes one and calls Run, which returns when the last child is gone. Run waits in ppoll for
// signals and for the children's channels and then acts on what came in one fixed order (master.cc,
// Act). What needs a layer above core comes in by hooks and child mains. master_children.cc,
// master_reload.cc, master_start.cc and master_upgrade.cc hold the rest.
// Size: one class whose parts share all of its state; its sources are small.
#ifndef UB_CORE_MASTER_H_
#define UB_CORE_MASTER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/daemon.h"
#include "core/log_files.h"
#include "core/management_link.h"
#include "core/master_child.h"
#include "core/master_options.h"
#include "core/pid_file.h"
#include "core/privileges.h"
#include "core/reload_status.h"
#include "core/service_manager.h"
#include "core/signals.h"

namespace ub {

class Master {
 public:
  Master(MasterOptions options, ChildMains mains, MasterHooks hooks);
  // The exit status: 0, or 1 where it could not start. Failures to start are also printed on
  // standard error.
  int Run();

 private:
  enum class Phase { kStarting, kServing, kQuitting, kStopping };

  using Child = MasterChild;
  struct ReloadPlan;

  // master_start.cc
  Status Start();
  // A taken address is tried again until then.
  Status OpenSockets(uint64_t retry_until_ms);
  Status OpenManagement();
  std::string PidPath() const;
  Status CreateSegment();
  bool AttachSegment(const ShmLimits& needed);
  Status TakeSockets();
  Status WritePidFile();
  void NowServing();
  uint32_t SocketsPerAddress(uint32_t workers) const;
  void CleanUp();

  // master.cc: the loop
  void Wait();
  int WaitMs(uint64_t now) const;
  void Act();
  void BeginStop(const char* why);
  void BeginQuit();
  void CloseForQuit();
  void ReopenLogs();
  void DrainWorker(Child& child);
  // Calls a draining worker back: it serves on, by the newest configuration.
  void ResumeWorker(Child& child);
  void KillOverdue(uint64_t now);
  void LeaveMaybe();
  uint64_t TicketsDueMs() const;
  void RotateTickets(uint64_t now);

  // master_children.cc
  void SpawnMissing(uint64_t now);
  bool Spawn(ChildKind kind, uint32_t worker_id);
  void BecomeChild(ChildKind kind);
  void Reap();
  void OnStop(Child& child, bool stopped);
  void OnDeath(const Child& dead, int wait_status);
  void ReceiveFrom(Child& child);
  void Handle(Child& child, const Message& message);
  bool AllReady() const;
  void SendTo(Child& child, Message message);
  static void LogSend(const Child& child, const Status& status);
  static void LogStranger(const Child& child);
  void SendToWorkers(const std::function<Message()>& make);
  void SendListeners(const std::vector<uint32_t>& indexes);
  static std::vector<Message> ListenerMessages(const std::vector<const ListenSocket*>& sockets);
  void RemoveListeners(const std::vector<ListenSocket>& sockets);
  void RebalanceOwners();
  Child* FindSeated(ChildKind kind, uint32_t worker_id);
  Child* FindDraining(uint32_t worker_id);

  // master_reload.cc
  void Reload();
  Status PlanReload(ReloadPlan* plan);
  Status OpenListeners(ReloadPlan* plan);
  void GrowListeners(const ReloadPlan& plan);
  void UndoListeners(ReloadPlan* plan);
  void CommitReload(ReloadPlan plan);
  void RefuseReload(const std::string& why);
  void RetireRemoved();
  void CloseRetired(uint64_t now);
  bool AllAcked() const;
  void FinishReload(std::vector<std::string> errors);
  void WriteStatus(bool done, std::vector<std::string> errors);
  Message ConfigMessage();
  Result<UniqueFd> SealedConfig(const Config& config) const;
  bool ReadStateFile();

  // master_upgrade.cc
  void BeginUpgrade();
  pid_t ExecuteNewBinary(int list, const NamedFds& named);
  Status AwaitGo();
  void ReceiveFromPeer();
  void StopController();
  void AnswerGo();
  void OnSuccessorGone(int wait_status);
  void OnPredecessorGone();
  void ForgetPeer();
  void TellPeer();
  void TellWorkersOfPeer();
  void SweepRows(uint64_t now);
  void DrainAllWorkers();
  void BringWorkersBack();
  // Another master has the same listening sockets: whoever leaves must not touch them.
  bool SharesSockets() const { return peer_.role != PeerRole::kNone; }
  // While a successor serves the table of backends is its controller's.
  bool Controls() const { return peer_.role != PeerRole::kSuccessor || !peer_.ready; }

  MasterOptions options_;
  const ChildMains mains_;
  const MasterHooks hooks_;
  std::shared_ptr<const Config> config_;
  uint64_t generation_ = 1;
  uint32_t workers_ = 0;  // wanted
  Phase phase_ = Phase::kStarting;
  int exit_status_ = 0;
  bool reload_wanted_ = false;

  Daemon daemon_;
  LogFiles logs_;
  Identity identity_;
  PidFile pid_file_;
  ListenSockets sockets_;
  ManagementLink management_;
  std::vector<RetiringSockets> retiring_;
  std::optional<ShmSegment> shm_;
  std::vector<std::unique_ptr<Child>> children_;
  std::map<std::pair<ChildKind, uint32_t>, MasterSeat> seats_;
  UniqueFd config_memfd_;

  std::vector<std::string> reload_warnings_;  // of the last one
  std::vector<uint64_t> reload_requests_;     // args of kReloadRequest, for the next reload
  std::vector<uint64_t> answering_;           // and those that get the result of the one under way
  uint64_t reload_sequence_ = 0, reload_begun_ms_ = 0;
  uint64_t reload_deadline_ms_ = 0;  // 0: no reload waits for its children
  uint64_t quit_close_at_ms_ = 0;    // 0: none

  MasterPeer peer_;
  ServiceManager service_;
  bool workers_wanted_ = true;  // false: WINCH came
  uint64_t sweep_at_ms_ = 0;    // rows of another master's children may be left; 0: none are
  uint64_t watchdog_due_ms_ = 0;
};

}  // namespace ub

#endif  // UB_CORE_MASTER_H_
