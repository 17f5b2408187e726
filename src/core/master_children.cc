// The master's children: fork, supervise, talk to, bury; and who of them accepts from which socket.
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/clock.h"
#include "core/log.h"
#include "core/master.h"
#include "core/socket_owners.h"

namespace ub {

namespace {

constexpr uint64_t kStableMs = 2000;  // a child that lived this long did not die "again soon"
constexpr uint64_t kBackOffMs = 100;  // before the second start in a row; doubles
constexpr uint64_t kMaxBackOffMs = 5000;
// After a SIGKILL, which is somebody's will and not a fault that comes again by itself.
constexpr uint64_t kMaxBackOffKilledMs = 100;
constexpr uint64_t kForkRetryMs = 1000;
constexpr int kReceiveBatch = 64;
constexpr size_t kListenerBatch = 100;  // their descriptions fit a message, whatever the addresses are
static_assert(kListenerBatch <= Channel::kMaxFds);

std::string NameOf(ChildKind kind, uint32_t worker_id) {
  return kind == ChildKind::kController ? "controller" : "worker " + std::to_string(worker_id);
}

std::string PackIndexes(const std::vector<uint32_t>& indexes) {
  std::string bytes(indexes.size() * sizeof(uint32_t), '\0');
  memcpy(bytes.data(), indexes.data(), bytes.size());
  return bytes;
}

}  // namespace

std::string HowItDied(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    const char* name = sigabbrev_np(number);
    return "was killed by signal " + std::to_string(number) +
           (name != nullptr ? std::string(" (SIG") + name + ")" : "");
  }
  return "left with status " + std::to_string(WEXITSTATUS(wait_status));
}

Master::Child* Master::FindSeated(ChildKind kind, uint32_t worker_id) {
  for (const auto& child : children_) {
    if (child->kind == kind && child->worker_id == worker_id && !child->draining) return child.get();
  }
  return nullptr;
}

// The youngest one that drains and answers its channel; a stopped one would not come back in time.
Master::Child* Master::FindDraining(uint32_t worker_id) {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if ((*child)->kind == ChildKind::kWorker && (*child)->worker_id == worker_id &&
        (*child)->draining && !(*child)->stopped && (*child)->channel.fd() >= 0)
      return child->get();
  }
  return nullptr;
}

// Every seat that should be filled and may be filled now. The controller first: workers find it
// probing.
void Master::SpawnMissing(uint64_t now) {
  const auto fill = [&](ChildKind kind, uint32_t id) {
    MasterSeat& seat = seats_[{kind, id}];
    if (FindSeated(kind, id) != nullptr || now < seat.due_ms) return;
    seat.due_ms = 0;
    if (Child* draining = kind == ChildKind::kWorker ? FindDraining(id) : nullptr)
      return ResumeWorker(*draining);
    if (!Spawn(kind, id)) seat.due_ms = now + kForkRetryMs;
  };
  if (mains_.controller != nullptr && Controls()) fill(ChildKind::kController, 0);
  if (!workers_wanted_) return;
  for (uint32_t id = 0; id < workers_; ++id) fill(ChildKind::kWorker, id);
}

bool Master::Spawn(ChildKind kind, uint32_t worker_id) {
  auto child = std::make_unique<Child>();
  Result<std::pair<Channel, Channel>> ends = Channel::MakePair();
  if (!ends) {
    Log(LogLevel::kError, "cannot start {}: {}", NameOf(kind, worker_id), ends.error().detail());
    return false;
  }
  child->row = shm_->TakeRow(kind, worker_id);
  if (child->row == kNoRow) {
    Log(LogLevel::kError, "cannot start {}: too many processes still drain", NameOf(kind, worker_id));
    return false;
  }
  child->kind = kind;
  child->worker_id = worker_id;
  child->channel = std::move(ends->first);
  child->started_ms = MonotonicMs();
  child->acked = generation_;

  ChildContext context;
  context.kind = kind;
  context.worker_id = worker_id;
  context.row = child->row;
  context.channel = std::move(ends->second);
  context.shm = &*shm_;
  context.config = config_;
  context.generation = generation_;
  context.sockets = &sockets_;
  context.access_log_fd = logs_.access_fd();
  context.peer_master = peer_.pid;
  management_.GiveTo(&context);
  // The child's copy of `child` is closed with the others': it is in the list before the fork.
  Child& seated = *children_.emplace_back(std::move(child));
  const uint32_t row = seated.row;
  Result<pid_t> pid =
      ForkChild(std::move(context), mains_, identity_, [this, kind] { BecomeChild(kind); });
  if (!pid) {
    Log(LogLevel::kError, "cannot start {}: {}", NameOf(kind, worker_id), pid.error().detail());
    children_.pop_back();
    shm_->ReleaseRow(row);
    return false;
  }
  seated.pid = *pid;
  shm_->row(row).pid.store(static_cast<uint32_t>(*pid));
  Log(LogLevel::kInfo, "{} started, pid {}", NameOf(kind, worker_id), *pid);
  RebalanceOwners();
  return true;
}

// In the child: lets go of what is the master's. Write ends of siblings' channels above all, or
// they would never see EOF.
void Master::BecomeChild(ChildKind kind) {
  children_.clear();
  pid_file_.Abandon();
  peer_.link.Reset();
  service_ = ServiceManager();
  daemon_.Abandon();
  config_memfd_.Reset();
  if (options_.daemon) DetachStandardStreams();
  // Sockets that are about to be closed are still to be drained, where the message that closes them has yet to come.
  for (RetiringSockets& retiring : retiring_)
    if (!retiring.let_go) sockets_.Restore(std::move(retiring.sockets));
  retiring_.clear();
  if (kind == ChildKind::kController) sockets_.sockets().clear();
  management_.BecomeChild(kind);
}

void Master::Reap() {
  for (;;) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG | WUNTRACED | WCONTINUED);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    if (peer_.role == PeerRole::kSuccessor && pid == peer_.pid) {
      if (!WIFSTOPPED(wait_status) && !WIFCONTINUED(wait_status)) OnSuccessorGone(wait_status);
      continue;
    }
    const auto found =
        std::find_if(children_.begin(), children_.end(), [pid](const auto& child) { return child->pid == pid; });
    if (found == children_.end()) continue;
    if (WIFSTOPPED(wait_status) || WIFCONTINUED(wait_status)) {
      OnStop(**found, WIFSTOPPED(wait_status));
      continue;
    }
    const std::unique_ptr<Child> dead = std::move(*found);
    children_.erase(found);
    OnDeath(*dead, wait_status);
  }
}

// Connections that queue at the sockets of a stopped worker would wait for as long as it is
// stopped.
void Master::OnStop(Child& child, bool stopped) {
  Log(stopped ? LogLevel::kWarn : LogLevel::kNotice, "{} (pid {}) was {}",
      NameOf(child.kind, child.worker_id), child.pid, stopped ? "stopped" : "continued");
  child.stopped = stopped;
  RebalanceOwners();
}

void Master::OnDeath(const Child& dead, int wait_status) {
  // Its gauges stop counting now; its sockets go to the survivors now, with what waits in their queues.
  shm_->ReleaseRow(dead.row);
  const std::string name = NameOf(dead.kind, dead.worker_id);
  const bool leaving = phase_ == Phase::kQuitting || phase_ == Phase::kStopping;
  // In a stop the master kills who is late.
  const bool killed_late = phase_ == Phase::kStopping && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
  const bool expected = ((leaving || dead.draining || dead.resumed != 0) && WIFEXITED(wait_status)) || killed_late;
  Log(expected ? LogLevel::kInfo : LogLevel::kError, "{} (pid {}) {}", name, dead.pid, HowItDied(wait_status));
  // Also while a quit empties the queues.
  if (!leaving || quit_close_at_ms_ != 0) RebalanceOwners();
  if (dead.kind == ChildKind::kController) AnswerGo();
  if (leaving || dead.draining) return;

  if (phase_ == Phase::kStarting && WIFEXITED(wait_status)) {
    // It said why. What keeps a child from starting keeps the next one from it too.
    exit_status_ = 1;
    fprintf(stderr, "ultrabalancer: cannot start: %s failed (its log says why)\n", name.c_str());
    BeginStop(("cannot start: " + name + " failed").c_str());
    return;
  }
  MasterSeat& seat = seats_[{dead.kind, dead.worker_id}];
  if (expected) return;  // it had left before it read that it should stay
  const uint64_t now = MonotonicMs();
  if (now - dead.started_ms >= kStableMs) seat.deaths = 0;
  ++seat.deaths;
  seat.due_ms = 0;
  if (seat.deaths > 1) {
    const bool killed = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
    const uint64_t pause = std::min(killed ? kMaxBackOffKilledMs : kMaxBackOffMs,
                                    kBackOffMs << std::min(seat.deaths - 2, 10u));
    seat.due_ms = now + pause;
    Log(LogLevel::kWarn, "{} died {} times in a row: started again in {} ms", name, seat.deaths, pause);
  }
}

void Master::SendTo(Child& child, Message message) {
  if (child.channel.fd() < 0) return;
  LogSend(child, child.outbox.Send(child.channel, std::move(message)));
}

// A child that is gone is buried when its SIGCHLD comes.
void Master::LogSend(const Child& child, const Status& status) {
  if (status.ok() || status.code() == StatusCode::kClosed) return;
  Log(LogLevel::kError, "message to {}: {}", NameOf(child.kind, child.worker_id), status.ToString());
}

// To every worker that is not draining.
void Master::SendToWorkers(const std::function<Message()>& make) {
  for (const auto& child : children_) {
    if (child->kind == ChildKind::kWorker && !child->draining) SendTo(*child, make());
  }
}

void Master::ReceiveFrom(Child& child) {
  for (int i = 0; i < kReceiveBatch && child.channel.fd() >= 0; ++i) {
    Result<std::optional<Message>> received = child.channel.Receive();
    if (received && !received->has_value()) return;
    if (received) {
      Handle(child, **received);
      continue;
    }
    if (received.error().code() != StatusCode::kClosed) {
      Log(LogLevel::kError, "channel of {}: {}", NameOf(child.kind, child.worker_id),
          received.error().ToString());
    }
    // A child without a channel cannot be led. It is dead or about to be; if not, it is helped
    // along.
    child.channel.Close();
    child.outbox.Clear();
    if (child.kill_at_ms == 0) child.kill_at_ms = MonotonicMs() + kForkRetryMs;
  }
}

bool Master::AllReady() const {
  const size_t expected = workers_ + (mains_.controller != nullptr ? 1u : 0u);
  return children_.size() >= expected &&
         std::all_of(children_.begin(), children_.end(),
                     [](const auto& child) { return child->ready; });
}

void Master::Handle(Child& child, const Message& message) {
  switch (message.type) {
    case MessageType::kReady:
      if (message.arg < child.resumed) break;  // from before it drained
      child.ready = true;
      child.resumed = 0;
      child.acked = message.arg;
      RebalanceOwners();
      if (phase_ == Phase::kStarting && AllReady()) NowServing();
      break;
    case MessageType::kConfigAck:
      child.acked = std::max(child.acked, message.arg);
      if (!message.payload.empty()) {
        child.refusal = NameOf(child.kind, child.worker_id) + ": " + message.payload;
        Log(LogLevel::kError, "configuration {} refused by {}", message.arg, child.refusal);
      }
      break;
    case MessageType::kWakeWorkers:
      // Whoever makes its workers look at the owners claims them first: another master may have.
      RebalanceOwners();
      for (const auto& worker : children_) {
        if (worker->kind != ChildKind::kWorker) continue;
        Message wake;
        wake.type = MessageType::kOwners;
        SendTo(*worker, std::move(wake));
      }
      break;
    case MessageType::kRuntimeState:
      if (child.kind != ChildKind::kController) return LogStranger(child);
      SendTo(child, management_.KeepState(message, config_->admin.state_file));
      break;
    case MessageType::kReloadRequest:
      if (child.kind != ChildKind::kController) return LogStranger(child);
      reload_wanted_ = true;
      reload_requests_.push_back(message.arg);
      break;
    default:
      LogStranger(child);
      break;
  }
}

// Children may have been taken over: the master does nothing for one that is not that one's to ask for.
void Master::LogStranger(const Child& child) {
  Log(LogLevel::kError, "{} sent a message that is not one of its kind's", NameOf(child.kind, child.worker_id));
}

// New sockets for all workers, as many a message as fit.
void Master::SendListeners(const std::vector<uint32_t>& indexes) {
  // Nobody's yet, whatever the index was before; or everybody's, which workers want to know on
  // arrival.
  for (const ListenSocket& socket : sockets_.sockets()) {
    if (std::find(indexes.begin(), indexes.end(), socket.index) == indexes.end()) continue;
    shm_->socket_owner(socket.index).store(socket.shared ? kAnyRow : kNoRow);
  }
  std::vector<const ListenSocket*> fresh;
  for (const ListenSocket& socket : sockets_.sockets()) {
    if (std::find(indexes.begin(), indexes.end(), socket.index) != indexes.end())
      fresh.push_back(&socket);
  }
  for (const auto& child : children_) {
    if (child->kind != ChildKind::kWorker || child->draining) continue;
    for (Message& message : ListenerMessages(fresh)) SendTo(*child, std::move(message));
  }
}

// As many messages as it takes, each with copies of the descriptors.
std::vector<Message> Master::ListenerMessages(const std::vector<const ListenSocket*>& sockets) {
  std::vector<Message> messages;
  for (size_t begin = 0; begin < sockets.size(); begin += kListenerBatch) {
    std::string lines;
    Message& message = messages.emplace_back();
    message.type = MessageType::kListeners;
    for (size_t i = begin; i < std::min(sockets.size(), begin + kListenerBatch); ++i) {
      lines += DescribeSocket(*sockets[i]);
      message.fds.emplace_back(fcntl(sockets[i]->fd.get(), F_DUPFD_CLOEXEC, 3));
    }
    message.payload = std::move(lines);
  }
  return messages;
}

void Master::RemoveListeners(const std::vector<ListenSocket>& sockets) {
  constexpr size_t kBatch = Channel::kMaxPayload / sizeof(uint32_t);
  for (size_t begin = 0; begin < sockets.size(); begin += kBatch) {
    std::vector<uint32_t> batch;
    for (size_t i = begin; i < std::min(sockets.size(), begin + kBatch); ++i)
      batch.push_back(sockets[i].index);
    SendToWorkers([&] {
      Message message;
      message.type = MessageType::kRemoveListeners;
      message.payload = PackIndexes(batch);
      return message;
    });
  }
}

// Splits each address's sockets over the workers that accept and tells them where anything changed.
// A worker takes its share when it serves; while the first ones start, and where nobody serves,
// those that are coming count.
void Master::RebalanceOwners() {
  std::vector<uint32_t> rows, coming;
  for (const auto& child : children_) {
    if (child->kind != ChildKind::kWorker || child->draining) continue;
    coming.push_back(child->row);
    if (child->ready && !child->stopped) rows.push_back(child->row);
  }
  if (rows.empty() || phase_ == Phase::kStarting) rows = coming;
  if (rows.empty()) return;

  std::map<std::string, std::vector<const ListenSocket*>> addresses;
  for (const ListenSocket& socket : sockets_.sockets()) addresses[socket.address].push_back(&socket);
  for (const RetiringSockets& retiring : retiring_) {
    for (const ListenSocket& socket : retiring.sockets)
      addresses["-" + socket.address].push_back(&socket);
  }
  bool changed = false;
  for (const auto& [address, sockets] : addresses) {
    std::vector<uint32_t> owners;
    for (const ListenSocket* socket : sockets)
      owners.push_back(shm_->socket_owner(socket->index).load());
    const std::vector<uint32_t> next = AssignOwners(owners, rows);
    for (size_t i = 0; i < sockets.size(); ++i) {
      const uint32_t owner = sockets[i]->shared ? kAnyRow : next[i];
      if (owner == owners[i]) continue;
      shm_->socket_owner(sockets[i]->index).store(owner);
      changed = true;
    }
  }
  if (!changed) return;
  SendToWorkers([] {
    Message message;
    message.type = MessageType::kOwners;
    return message;
  });
}

}  // namespace ub
