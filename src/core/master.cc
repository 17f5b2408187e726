// The master's loop: wait, then act.
#include "core/master.h"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "core/clock.h"
#include "core/log.h"
#include "core/ticket_keys.h"

namespace ub {

namespace {

// From kStop to SIGKILL. A build that counts its runs takes a while to write the counts down.
#ifdef UB_COUNTS_RUNS
constexpr uint64_t kStopKillMs = 2'500;
#else
constexpr uint64_t kStopKillMs = 500;
#endif
constexpr uint64_t kDrainExtraMs = 1000;  // from the drain deadline to SIGKILL
constexpr uint64_t kQuitGraceMs = 50;  // handshakes under way finish before the sockets are closed
constexpr uint64_t kWriteRetryMs = 20;

}  // namespace

// Signals are let in only inside ppoll. Channels are read and written here, everything else is
// Act's.
void Master::Wait() {
  const uint64_t before = MonotonicMs();
  std::vector<pollfd> polled;
  for (const auto& child : children_) {
    const bool write = !child->outbox.empty() && child->retry_at_ms <= before;
    polled.push_back({child->channel.fd(), static_cast<short>(POLLIN | (write ? POLLOUT : 0)), 0});
  }
  if (peer_.link.valid()) polled.push_back({peer_.link.get(), POLLIN, 0});
  const int wait_ms = WaitMs(before);
  const timespec timeout{wait_ms / 1000, (wait_ms % 1000) * 1'000'000L};
  const int ready =
      ppoll(polled.data(), polled.size(), wait_ms < 0 ? nullptr : &timeout, &WaitMask());
  if (ready <= 0) return;
  for (size_t i = 0; i < children_.size(); ++i) {
    Child& child = *children_[i];
    if ((polled[i].revents & POLLOUT) != 0) {
      const size_t waiting = child.outbox.size();
      LogSend(child, child.outbox.Flush(child.channel));
      if (!child.outbox.empty() && child.outbox.size() == waiting)
        child.retry_at_ms = MonotonicMs() + kWriteRetryMs;
    }
    if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReceiveFrom(child);
  }
  if (polled.size() > children_.size() && polled.back().revents != 0) ReceiveFromPeer();
}

// Milliseconds until something is due; -1: nothing is.
int Master::WaitMs(uint64_t now) const {
  uint64_t due = UINT64_MAX;
  const auto consider = [&due](uint64_t at) {
    if (at != 0) due = std::min(due, at);
  };
  for (const auto& child : children_) {
    consider(child->kill_at_ms);
    if (!child->outbox.empty() && child->retry_at_ms > now) consider(child->retry_at_ms);
  }
  for (const RetiringSockets& retiring : retiring_) consider(retiring.due_ms);
  consider(quit_close_at_ms_);
  consider(reload_deadline_ms_);
  consider(sweep_at_ms_);
  consider(watchdog_due_ms_);
  consider(TicketsDueMs());
  if (phase_ == Phase::kStarting || phase_ == Phase::kServing) {
    for (const auto& [key, seat] : seats_) {
      if (key.first == ChildKind::kController ? Controls() : workers_wanted_) consider(seat.due_ms);
    }
    if (seats_.empty()) return 0;  // the first turn: nothing is forked yet
  }
  if (reload_wanted_ && phase_ == Phase::kServing) return 0;
  if (due == UINT64_MAX) return -1;
  return due <= now ? 0 : static_cast<int>(std::min<uint64_t>(due - now, 60'000));
}

// One fixed order: first what happened (the dead), then what ends us, then what changes us, then
// what is due.
void Master::Act() {
  const SignalFlags signals = TakeSignals();
  if (signals.child) Reap();
  if (signals.stop && phase_ != Phase::kStopping) BeginStop("told to stop");
  if (signals.quit) {
    if (phase_ == Phase::kQuitting) {
      BeginStop("told to quit a second time");
    } else if (phase_ != Phase::kStopping) {
      BeginQuit();
    }
  }
  if (signals.reopen) ReopenLogs();
  if (signals.upgrade) BeginUpgrade();
  if (signals.drain_workers) DrainAllWorkers();
  if (signals.reload) reload_wanted_ = true;
  if (phase_ == Phase::kServing && reload_wanted_) {
    if (!workers_wanted_ || peer_.role == PeerRole::kSuccessor) BringWorkersBack();
    if (reload_wanted_) Reload();
  }
  if (phase_ == Phase::kQuitting && reload_wanted_) RefuseReload("the server is quitting");

  const uint64_t now = MonotonicMs();
  if (phase_ == Phase::kStarting || phase_ == Phase::kServing) SpawnMissing(now);
  CloseRetired(now);
  if (reload_deadline_ms_ != 0 && (AllAcked() || now >= reload_deadline_ms_)) FinishReload({});
  if (quit_close_at_ms_ != 0 && now >= quit_close_at_ms_) CloseForQuit();
  KillOverdue(now);
  if (sweep_at_ms_ != 0 && now >= sweep_at_ms_) SweepRows(now);
  if (watchdog_due_ms_ != 0 && now >= watchdog_due_ms_) {
    service_.Alive();
    watchdog_due_ms_ = now + service_.watchdog_ms();
  }
  if (now >= TicketsDueMs()) RotateTickets(now);
  LeaveMaybe();
}

// The time stands in the segment: another master there may have made the last key.
uint64_t Master::TicketsDueMs() const {
  return shm_->header().ticket_rotated_ms.load() + uint64_t{config_->tls.ticket_rotation_seconds} * 1000;
}

void Master::RotateTickets(uint64_t now) {
  const Status status = RotateTicketKeys(&shm_->header(), now);
  if (!status.ok()) Log(LogLevel::kError, "session tickets keep their key: {}", status.detail());
}

// TERM, INT: children leave at once and those that do not are killed.
void Master::BeginStop(const char* why) {
  Log(LogLevel::kNotice, "{}: leaving at once", why);
  phase_ = Phase::kStopping;
  quit_close_at_ms_ = 0;
  if (!SharesSockets()) {
    service_.Stopping(why);
    sockets_.UnlinkPaths();
  }
  for (const auto& child : children_) {
    Message stop;
    stop.type = MessageType::kStop;
    SendTo(*child, std::move(stop));
    child->kill_at_ms = MonotonicMs() + kStopKillMs;
  }
}

// QUIT: no new connection, and the last of the old ones ends it. New SYNs are dropped at once,
// handshakes under way get a moment to finish and to reach an accept queue, then the workers empty
// the queues and close.
void Master::BeginQuit() {
  if (phase_ == Phase::kStarting) return BeginStop("told to quit while starting");
  Log(LogLevel::kNotice, "told to quit: draining for at most {} ms", config_->timeout.drain_ms);
  if (reload_deadline_ms_ != 0) FinishReload({});
  phase_ = Phase::kQuitting;
  if (!SharesSockets()) {
    service_.Stopping("finishing the requests under way");
    sockets_.UnlinkPaths();
  }
  for (const ListenSocket& socket : sockets_.sockets()) {
    if (SharesSockets() || socket.passed) continue;
    const Status status = RefuseNewConnections(socket.fd.get());
    if (!status.ok()) Log(LogLevel::kWarn, "{}: {}", socket.address, status.detail());
  }
  for (const auto& child : children_) {
    if (child->kind != ChildKind::kController) continue;
    Message drain;
    drain.type = MessageType::kDrain;
    drain.arg = config_->timeout.drain_ms;
    SendTo(*child, std::move(drain));
  }
  quit_close_at_ms_ = MonotonicMs() + kQuitGraceMs;
}

void Master::CloseForQuit() {
  quit_close_at_ms_ = 0;
  for (RetiringSockets& retiring : retiring_) sockets_.Restore(std::move(retiring.sockets));
  retiring_.clear();
  RemoveListeners(sockets_.sockets());
  sockets_.sockets().clear();
  for (const auto& child : children_) {
    if (child->kind == ChildKind::kWorker && !child->draining) DrainWorker(*child);
  }
}

// USR1. A log that cannot be opened is told where it can still be told: in the old one.
void Master::ReopenLogs() {
  Result<LogFiles> fresh = LogFiles::Open(config_->logging);
  if (!fresh) {
    Log(LogLevel::kError, "logs are not reopened, the old ones stay: {}", fresh.error().detail());
    return;
  }
  logs_.Replace(std::move(*fresh));
  for (const auto& child : children_) {
    Result<Message> message = logs_.ReopenMessage();
    if (!message) {
      Log(LogLevel::kError, "{}", message.error().detail());
      return;
    }
    SendTo(*child, std::move(*message));
  }
  Log(LogLevel::kNotice, "logs reopened");
}

void Master::KillOverdue(uint64_t now) {
  for (const auto& child : children_) {
    if (child->kill_at_ms == 0 || now < child->kill_at_ms) continue;
    if (phase_ != Phase::kStopping) {
      Log(LogLevel::kWarn, "child with pid {} has not left in time: killed", child->pid);
    }
    kill(child->pid, SIGKILL);
    child->kill_at_ms = now + kDrainExtraMs;
  }
}

// In a quit the controller stays to answer for the workers; it goes when the last of them is gone.
void Master::LeaveMaybe() {
  if (phase_ != Phase::kQuitting) return;
  const bool working = std::any_of(children_.begin(), children_.end(), [](const auto& child) {
    return child->kind == ChildKind::kWorker;
  });
  if (!working) BeginStop("all workers are gone");
}

void Master::DrainWorker(Child& child) {
  child.draining = true;
  child.resumed = 0;
  shm_->row(child.row).state.store(static_cast<uint32_t>(RowState::kDraining));
  Message drain;
  drain.type = MessageType::kDrain;
  drain.arg = config_->timeout.drain_ms;
  SendTo(child, std::move(drain));
  child.kill_at_ms = MonotonicMs() + config_->timeout.drain_ms + kDrainExtraMs;
}

// Workers that come and go with every reload would otherwise pile up, each with its last few idle
// connections. Its copies of the listening sockets are closed: it gets them anew. Should it be on
// its way out, the seat is filled by a fork when it is buried.
void Master::ResumeWorker(Child& child) {
  Log(LogLevel::kInfo, "worker {} (pid {}) serves on", child.worker_id, child.pid);
  child.draining = false;
  child.resumed = generation_;
  child.ready = false;
  child.kill_at_ms = 0;
  shm_->row(child.row).state.store(static_cast<uint32_t>(RowState::kLive));
  Message resume = ConfigMessage();
  resume.type = MessageType::kResume;
  SendTo(child, std::move(resume));
  std::vector<const ListenSocket*> all;
  for (const ListenSocket& socket : sockets_.sockets()) all.push_back(&socket);
  for (const RetiringSockets& retiring : retiring_) {
    for (const ListenSocket& socket : retiring.sockets) {
      if (!retiring.let_go) all.push_back(&socket);
    }
  }
  for (Message& message : ListenerMessages(all)) SendTo(child, std::move(message));
}

}  // namespace ub
