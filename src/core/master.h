// The master: owns configuration, listening sockets, logs, pid file and the shared segment; forks
// the children and supervises them. It runs no event loop and never touches a client's bytes.
//
// main() makes one and calls Run, which returns when the last child is gone. Run waits in ppoll for
// signals and for the children's channels and then acts on what came in one fixed order (master.cc,
// Act). What needs a layer above core comes in by hooks and child mains. master_children.cc,
// master_reload.cc and master_start.cc hold the rest.
#ifndef UB_CORE_MASTER_H_
#define UB_CORE_MASTER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/child_process.h"
#include "core/daemon.h"
#include "core/log_files.h"
#include "core/master_options.h"
#include "core/outbox.h"
#include "core/pid_file.h"
#include "core/privileges.h"
#include "core/reload_status.h"
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

  struct Child {
    pid_t pid = 0;
    ChildKind kind = ChildKind::kNone;
    uint32_t worker_id = 0, row = kNoRow;
    Channel channel;
    Outbox outbox;
    uint64_t started_ms = 0;
    uint64_t kill_at_ms = 0;   // 0: no deadline
    uint64_t retry_at_ms = 0;  // its socket says writable and takes nothing: not before then
    uint64_t acked = 0;        // configuration generation that it works by
    std::string refusal;       // why it refused the newest one
    bool ready = false, draining = false;
  };
  // A place that a child should fill, and how often it died there lately.
  struct Seat {
    uint32_t deaths = 0;
    uint64_t due_ms = 0;
  };
  // Sockets of an address that is configured no more: refusing already, closed at close_at_ms.
  struct Retiring {
    std::string address;
    std::vector<ListenSocket> sockets;
    uint64_t close_at_ms;
  };
  struct ReloadPlan;

  // master_start.cc
  Status Start();
  // A taken address is tried again until then.
  Status OpenSockets(uint64_t retry_until_ms);
  std::string PidPath() const;
  Status CreateSegment();
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
  void KillOverdue(uint64_t now);
  void LeaveMaybe();

  // master_children.cc
  void SpawnMissing(uint64_t now);
  bool Spawn(ChildKind kind, uint32_t worker_id);
  void BecomeChild(ChildKind kind);
  void Reap();
  void OnDeath(const Child& dead, int wait_status);
  void ReceiveFrom(Child& child);
  void Handle(Child& child, const Message& message);
  bool AllReady() const;
  void SendTo(Child& child, Message message);
  // To every worker that is not draining.
  void SendToWorkers(const std::function<Message()>& make);
  void SendListeners(const std::vector<uint32_t>& indexes);
  void RemoveListeners(const std::vector<ListenSocket>& sockets);
  void RebalanceOwners();
  Child* FindSeated(ChildKind kind, uint32_t worker_id);

  // master_reload.cc
  void Reload();
  Status PlanReload(ReloadPlan* plan);
  Status OpenListeners(ReloadPlan* plan);
  void UndoListeners(ReloadPlan* plan);
  void CommitReload(ReloadPlan plan);
  void RetireRemoved();
  void CloseRetired(uint64_t now);
  bool AllAcked() const;
  void FinishReload(std::vector<std::string> errors);
  void WriteStatus(bool done, std::vector<std::string> errors);
  Message ConfigMessage() const;

  MasterOptions options_;
  const ChildMains mains_;
  const MasterHooks hooks_;
  std::shared_ptr<const Config> config_;
  uint64_t generation_ = 1;
  uint32_t workers_ = 0;  // wanted
  Phase phase_ = Phase::kStarting;
  int exit_status_ = 0;

  Daemon daemon_;
  LogFiles logs_;
  Identity identity_;
  PidFile pid_file_;
  ListenSockets sockets_;
  std::vector<Retiring> retiring_;
  std::optional<ShmSegment> shm_;
  std::vector<std::unique_ptr<Child>> children_;
  std::map<std::pair<ChildKind, uint32_t>, Seat> seats_;
  UniqueFd config_memfd_;

  bool reload_wanted_ = false;
  std::vector<std::string> reload_warnings_;  // of the last one
  std::vector<uint64_t> reload_requests_;     // args of kReloadRequest that wait for a result
  uint64_t reload_sequence_ = 0, reload_begun_ms_ = 0;
  uint64_t reload_deadline_ms_ = 0;  // 0: no reload waits for its children
  uint64_t quit_close_at_ms_ = 0;    // 0: none
};

}  // namespace ub

#endif  // UB_CORE_MASTER_H_
