// Upgrade of the binary, as nginx does it: USR2 executes the binary anew beside this master, which
// keeps serving; WINCH and QUIT retire it, HUP brings its workers back.
//
// Both masters hold the same listening sockets and, where the layout allows it, the same segment.
// The ownership table has then two writers: each claims every socket for its own workers and tells
// them afterwards, so the workers of whoever wrote last accept, and so do the others' until they
// are told something. There is one controller at a time: the link carries 'r' (the new master is
// ready to fork), 'g' (the old controller is gone: go), 's' (it serves).
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/clock.h"
#include "core/log.h"
#include "core/master.h"

namespace ub {

namespace {

constexpr char kOldSuffix[] = ".oldbin";
constexpr int kAwaitGoMs = 5000;
constexpr uint64_t kControllerKillMs = 500;
constexpr uint64_t kSweepMs = 100;

void SendLetter(int fd, char letter) { (void)!send(fd, &letter, 1, MSG_NOSIGNAL | MSG_DONTWAIT); }

void MoveStatusFile(const std::string& from, const std::string& to) {
  (void)rename(ReloadStatusPath(from).c_str(), ReloadStatusPath(to).c_str());
}

// One that has ended and that nobody has waited for yet is gone too: it writes no more.
bool StillRuns(pid_t pid) {
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // Where there is no pidfd to be had, it takes longer until one that nobody has waited for counts as gone.
  if (!pidfd.valid()) return errno != ESRCH && (kill(pid, 0) == 0 || errno != ESRCH);
  pollfd ended{pidfd.get(), POLLIN, 0};
  return poll(&ended, 1, 0) == 0;
}

}  // namespace

void Master::BeginUpgrade() {
  const char* refusal = nullptr;
  if (phase_ != Phase::kServing) refusal = "not while starting or leaving";
  if (peer_.role == PeerRole::kSuccessor) refusal = "one is under way";
  if (peer_.role == PeerRole::kPredecessor) refusal = "the master before this one still lives";
  if (options_.arguments.empty()) refusal = "not possible for this command";
  if (refusal != nullptr) {
    Log(LogLevel::kError, "USR2: no upgrade: {}", refusal);
    return;
  }
  if (reload_deadline_ms_ != 0) FinishReload({});
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    Log(LogLevel::kError, "USR2: no upgrade: {}", Status::System("socketpair", errno).detail());
    return;
  }
  UniqueFd ours(ends[0]), theirs(ends[1]);
  std::vector<const ListenSocket*> sockets;
  for (const ListenSocket& socket : sockets_.sockets()) sockets.push_back(&socket);
  std::vector<const ListenSocket*> management;
  for (const ListenSocket& socket : management_.sockets().sockets()) management.push_back(&socket);
  NamedFds named = management_.ForSuccessor();
  named.emplace_back("segment", shm_->fd());
  named.emplace_back("link", theirs.get());
  Result<UniqueFd> list = WriteInheritance(getpid(), named, sockets, management);
  if (!list) {
    Log(LogLevel::kError, "USR2: no upgrade: {}", list.error().detail());
    return;
  }
  if (pid_file_.held()) {
    const std::string path = pid_file_.path();
    const Status moved = pid_file_.MoveTo(path + kOldSuffix);
    if (!moved.ok()) {
      Log(LogLevel::kError, "USR2: no upgrade: {}", moved.detail());
      return;
    }
    MoveStatusFile(path, pid_file_.path());
  }
  const pid_t pid = ExecuteNewBinary(list->get(), named);
  if (pid > 0) {
    Log(LogLevel::kNotice, "USR2: {} is started as the new master, pid {}",
        options_.arguments.front(), pid);
  } else {
    Log(LogLevel::kError, "USR2: no upgrade: {}", Status::System("fork", errno).detail());
  }
  peer_.role = PeerRole::kSuccessor;
  peer_.pid = pid;
  peer_.link = std::move(ours);
  if (pid <= 0) return OnSuccessorGone(-1);
  TellWorkersOfPeer();
}

pid_t Master::ExecuteNewBinary(int list, const NamedFds& named) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  std::vector<int> kept{list};
  for (const auto& [name, fd] : named) kept.push_back(fd);
  for (const ListenSocket& socket : sockets_.sockets()) kept.push_back(socket.fd.get());
  for (const ListenSocket& socket : management_.sockets().sockets()) kept.push_back(socket.fd.get());
  for (const int fd : kept) fcntl(fd, F_SETFD, 0);
  // A daemon has no standard error; what keeps the new one from starting belongs into the log.
  if (options_.daemon) dup2(LogFd(), 2);
  ResetSignals(false);
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"})
    unsetenv(name);
  setenv(kInheritVariable, std::to_string(list).c_str(), 1);
  std::vector<char*> argv;
  for (std::string& argument : options_.arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  Log(LogLevel::kError, "upgrade: cannot execute {}: {}", argv[0], strerror(errno));
  _exit(127);
}

// In the new master: everything that can fail without a child has gone well.
Status Master::AwaitGo() {
  SendLetter(peer_.link.get(), 'r');
  pollfd wait{peer_.link.get(), POLLIN, 0};
  const int got = poll(&wait, 1, kAwaitGoMs);
  char letter = 0;
  // An end is as good: then the old master is gone, which the loop will see too.
  if (got == 1 && recv(wait.fd, &letter, 1, MSG_DONTWAIT) >= 0) return Status::Ok();
  return Status(StatusCode::kTimeout, StatusSource::kSystem,
                "upgrade: the old master does not give way");
}

void Master::ReceiveFromPeer() {
  char letter = 0;
  const ssize_t got = recv(peer_.link.get(), &letter, 1, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    if (peer_.role == PeerRole::kPredecessor) return OnPredecessorGone();
    peer_.link.Reset();  // its death is told by SIGCHLD
  } else if (letter == 'r' && peer_.role == PeerRole::kSuccessor) {
    peer_.ready = true;
    StopController();
    AnswerGo();
  } else if (letter == 's' && peer_.role == PeerRole::kSuccessor) {
    Log(LogLevel::kNotice,
        "upgrade: the new master (pid {}) serves; WINCH and QUIT retire this one", peer_.pid);
  }
}

void Master::StopController() {
  for (const auto& child : children_) {
    if (child->kind != ChildKind::kController) continue;
    Message stop;
    stop.type = MessageType::kStop;
    SendTo(*child, std::move(stop));
    child->draining = true;
    child->kill_at_ms = MonotonicMs() + kControllerKillMs;
  }
}

void Master::AnswerGo() {
  if (peer_.role != PeerRole::kSuccessor || !peer_.ready || peer_.told_go) return;
  const bool controlled = std::any_of(children_.begin(), children_.end(), [](const auto& child) {
    return child->kind == ChildKind::kController;
  });
  if (controlled) return;
  peer_.told_go = true;
  SendLetter(peer_.link.get(), 'g');
}

// The way back: all is as it was before USR2.
void Master::OnSuccessorGone(int wait_status) {
  if (wait_status != -1) {
    Log(LogLevel::kError, "upgrade: the new master (pid {}) {}: this one goes on{}", peer_.pid,
        HowItDied(wait_status),
        options_.daemon ? "" : " (what it had to say is on standard error, or in its log)");
  }
  ForgetPeer();
  if (pid_file_.held() && pid_file_.path().ends_with(kOldSuffix)) {
    const std::string old = pid_file_.path();
    const std::string path = old.substr(0, old.size() - strlen(kOldSuffix));
    const Status moved = pid_file_.MoveTo(path);
    if (moved.ok()) MoveStatusFile(old, path);
    if (!moved.ok()) Log(LogLevel::kError, "upgrade: {}", moved.detail());
  }
  if (phase_ != Phase::kServing) return;
  shm_->header().config_generation.store(generation_);
  workers_wanted_ = true;
  ReadStateFile();  // the other one's controller may have changed it
  service_.Ready("serving");
}

void Master::OnPredecessorGone() {
  Log(LogLevel::kNotice, "upgrade: the old master (pid {}) is gone", peer_.pid);
  ForgetPeer();
  if (phase_ == Phase::kServing) service_.Ready("serving");
}

// What the other one and its workers may have left behind is put right: rows, filters that refuse,
// owners that are no more.
void Master::ForgetPeer() {
  peer_ = MasterPeer();
  TellWorkersOfPeer();
  if (phase_ != Phase::kServing && phase_ != Phase::kStarting) return;
  for (const ListenSocket& socket : sockets_.sockets()) {
    if (!socket.shared) AcceptNewConnections(socket.fd.get());
  }
  RebalanceOwners();
  sweep_at_ms_ = MonotonicMs() + 1;
}

void Master::TellWorkersOfPeer() {
  for (const auto& child : children_) {
    Message peer;
    peer.type = MessageType::kPeerMaster;
    peer.arg = static_cast<uint64_t>(peer_.pid);
    if (child->kind == ChildKind::kWorker) SendTo(*child, std::move(peer));
  }
}

void Master::TellPeer() {
  if (peer_.role == PeerRole::kPredecessor) SendLetter(peer_.link.get(), 's');
}

// Nobody but the other master waited for its children. A row that is not one of ours and whose
// process is gone is freed here.
void Master::SweepRows(uint64_t now) {
  sweep_at_ms_ = 0;
  if (SharesSockets()) return;
  for (uint32_t r = 0; r < shm_->header().row_high_water.load(); ++r) {
    const auto pid = static_cast<pid_t>(shm_->row(r).pid.load());
    const bool ours = std::any_of(children_.begin(), children_.end(),
                                  [r](const auto& child) { return child->row == r; });
    if (ours || !shm_->row_live(r) || pid == 0) continue;
    if (StillRuns(pid)) {
      sweep_at_ms_ = now + kSweepMs;
    } else {
      shm_->ReleaseRow(r);
    }
  }
}

// WINCH. A terminal sends it too, whenever its window changes.
void Master::DrainAllWorkers() {
  if (phase_ != Phase::kServing || !workers_wanted_) return;
  const bool terminal = !options_.daemon && (isatty(0) || isatty(1) || isatty(2));
  if (terminal && !SharesSockets()) return;
  Log(LogLevel::kNotice, "WINCH: the workers drain; HUP brings them back");
  workers_wanted_ = false;
  for (const auto& child : children_) {
    if (child->kind == ChildKind::kWorker && !child->draining) DrainWorker(*child);
  }
  if (!SharesSockets()) service_.Ready("workers drained: nobody serves until a reload");
}

// HUP after WINCH. As in nginx the configuration is not read while the new binary runs: that one
// has it.
void Master::BringWorkersBack() {
  if (!workers_wanted_) Log(LogLevel::kNotice, "HUP: the workers come back");
  workers_wanted_ = true;
  if (peer_.role == PeerRole::kSuccessor)
    RefuseReload("an upgrade is under way: the configuration is not read again");
}

}  // namespace ub
