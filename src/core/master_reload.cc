// Reload in place: check everything first, then change what changed and nothing else. Workers and
// their connections stay.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/config_keys.h"
#include "core/log.h"
#include "core/master.h"
#include "core/sealed_memfd.h"

namespace ub {

namespace {

// From refusing new connections on a removed address to closing it: handshakes under way end in an
// accept queue.
constexpr uint64_t kRetireMs = 1000;
// From telling the workers to let go of them until they listen no more.
constexpr uint64_t kLetGoMs = 250;
// How long the outcome waits for the children; one that is stopped must not hold it up.
constexpr uint64_t kAckMs = 2000;

Status Refused(std::string why) {
  return Status(StatusCode::kInvalid, StatusSource::kConfig, std::move(why));
}

// Keys that only a restart can change keep their value; a warning names them.
void KeepFixed(const Config& now, Config* next, std::vector<std::string>* warnings) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.reloadable || GetKeyValue(key, now) == GetKeyValue(key, *next)) continue;
    warnings->push_back(std::string(key.path) +
                        ": a change takes a restart (the old value stays in force)");
    CopyKeyValue(key, now, next);
  }
}

}  // namespace

// Everything that a reload needs, made before anything is changed.
struct Master::ReloadPlan {
  std::shared_ptr<Config> config;
  uint32_t workers = 0;
  UniqueFd memfd;
  std::optional<LogFiles> logs;       // set where the files changed
  std::vector<std::string> opened;    // addresses that were opened for it
  std::vector<std::string> restored;  // addresses that were retiring and are wanted again
  std::vector<uint32_t> before;       // indexes of the sockets that workers have already
};

void Master::Reload() {
  reload_wanted_ = false;
  service_.Reloading();
  if (reload_deadline_ms_ != 0) FinishReload({});  // overtaken: the newest configuration counts
  answering_ = std::exchange(reload_requests_, {});
  ++reload_sequence_;
  reload_begun_ms_ = MonotonicMs();
  reload_warnings_.clear();
  WriteStatus(false, {});
  ReloadResult result =
      hooks_.reload ? hooks_.reload() : ReloadResult{nullptr, {"reloading is not possible here"}};
  if (result.config == nullptr && result.errors.empty()) result.errors = {"no configuration"};
  reload_warnings_ = std::move(result.warnings);
  if (result.errors.empty()) {
    ReloadPlan plan;
    plan.config = std::make_shared<Config>(*result.config);
    const Status status = PlanReload(&plan);
    if (status.ok()) return CommitReload(std::move(plan));
    result.errors = {status.detail()};
  }
  for (const std::string& error : result.errors) Log(LogLevel::kError, "reload refused: {}", error);
  FinishReload(std::move(result.errors));
}

// Whoever waits for the outcome is told at once.
void Master::RefuseReload(const std::string& why) {
  reload_wanted_ = false;
  ++reload_sequence_;
  answering_.insert(answering_.end(), reload_requests_.begin(), reload_requests_.end());
  reload_requests_.clear();
  Log(LogLevel::kWarn, "reload refused: {}", why);
  FinishReload({"reload refused: " + why});
}

Status Master::PlanReload(ReloadPlan* plan) {
  KeepFixed(*config_, plan->config.get(), &reload_warnings_);
  const Config& next = *plan->config;
  plan->workers = EffectiveWorkers(next);
  if (plan->workers + 1 > shm_->processes()) {
    return Refused("workers: " + std::to_string(plan->workers) + " are more than the " +
                   std::to_string(shm_->processes() - 1) +
                   " that this instance was started for (restart)");
  }
  if (next.backends.size() > shm_->backends()) {
    return Refused("backends: " + std::to_string(next.backends.size()) +
                   " are more than shared_memory.max_backends, " +
                   std::to_string(shm_->backends()) + " (raise it and restart)");
  }
  if (next.logging.file != config_->logging.file ||
      next.logging.access_log != config_->logging.access_log) {
    Result<LogFiles> logs = LogFiles::Open(next.logging);
    if (!logs) return logs.error();
    plan->logs = std::move(*logs);
  }
  Result<UniqueFd> memfd = SealedConfig(next);
  if (!memfd) return memfd.error();
  plan->memfd = std::move(*memfd);
  Status status = OpenListeners(plan);
  if (status.ok()) status = management_.Prepare(next.admin);
  if (status.ok()) {
    GrowListeners(*plan);
  } else {
    UndoListeners(plan);
  }
  return status;
}

// Last, for it is not undone: sockets that no worker knows would keep connections waiting for ever.
void Master::GrowListeners(const ReloadPlan& plan) {
  for (const ListenConfig& address : plan.config->listen) {
    const Status status = sockets_.Grow(address, SocketsPerAddress(plan.workers), shm_->sockets());
    // The workers share what there is.
    if (!status.ok()) Log(LogLevel::kWarn, "{}", status.detail());
  }
}

// All or nothing.
Status Master::OpenListeners(ReloadPlan* plan) {
  for (const ListenSocket& socket : sockets_.sockets()) plan->before.push_back(socket.index);
  const uint32_t per_address = SocketsPerAddress(plan->workers);
  for (const ListenConfig& address : plan->config->listen) {
    if (sockets_.Has(address.text)) continue;
    const auto retiring =
        std::find_if(retiring_.begin(), retiring_.end(),
                     [&](const RetiringSockets& entry) { return entry.address == address.text; });
    if (retiring != retiring_.end() && retiring->let_go) {
      // They would go on refusing beside the new ones: a SYN that the kernel gives to one of them
      // gets no answer.
      if (!SharesSockets()) StopListening(retiring->sockets);
      sockets_.Forget(std::move(retiring->sockets));
      retiring_.erase(retiring);
    } else if (retiring != retiring_.end() && !address.is_unix) {
      for (const ListenSocket& socket : retiring->sockets) {
        AcceptNewConnections(socket.fd.get());
        plan->before.push_back(socket.index);
      }
      sockets_.Restore(std::move(retiring->sockets));
      retiring_.erase(retiring);
      plan->restored.push_back(address.text);
      continue;
    }
    const Status status = sockets_.Open(address, per_address, shm_->sockets());
    if (!status.ok()) return status;
    plan->opened.push_back(address.text);
  }
  return Status::Ok();
}

void Master::UndoListeners(ReloadPlan* plan) {
  for (const std::string& address : plan->opened) sockets_.Forget(sockets_.Remove(address));
  // What was wanted again for a moment goes on leaving: it is not in the configuration in force.
  if (!plan->restored.empty()) RetireRemoved();
}

void Master::CommitReload(ReloadPlan plan) {
  for (const std::string& warning : reload_warnings_) Log(LogLevel::kWarn, "{}", warning);
  const std::string diff = hooks_.diff ? hooks_.diff(*config_, *plan.config) : "";
  // Another master may have handed out configurations by the same segment.
  generation_ = std::max(generation_, shm_->header().config_generation.load()) + 1;
  Log(LogLevel::kNotice, "reload: configuration {}{}{}", generation_, diff.empty() ? "" : ": ",
      diff);
  config_ = std::move(plan.config);
  config_memfd_ = std::move(plan.memfd);
  workers_ = plan.workers;
  shm_->header().config_generation.store(generation_);
  SetLogLevel(config_->logging.level);
  if (plan.logs.has_value()) {
    logs_.Replace(std::move(*plan.logs));
    for (const auto& child : children_) {
      Result<Message> message = logs_.ReopenMessage();
      if (message) SendTo(*child, std::move(*message));
    }
  }
  sockets_.MarkProtocols(config_->listen);
  std::vector<uint32_t> fresh;
  for (const ListenSocket& socket : sockets_.sockets()) {
    if (std::find(plan.before.begin(), plan.before.end(), socket.index) == plan.before.end()) {
      fresh.push_back(socket.index);
    }
  }
  SendListeners(fresh);
  Child* const controller = FindSeated(ChildKind::kController, 0);
  std::optional<Message> moved = management_.Commit(!SharesSockets());
  if (moved && controller != nullptr) SendTo(*controller, std::move(*moved));
  RetireRemoved();
  // The surplus first gives its sockets to those who stay, then drains: no queue is left alone.
  for (const auto& child : children_)
    child->draining |= child->kind == ChildKind::kWorker && child->worker_id >= workers_;
  RebalanceOwners();
  const bool stateful = ReadStateFile();
  for (const auto& child : children_) {
    child->refusal.clear();
    if (!child->draining) {
      Message message = ConfigMessage();
      const bool with_state = stateful && child->kind == ChildKind::kController;
      UniqueFd state = with_state ? management_.CopyOfState() : UniqueFd();
      if (state.valid()) message.fds.push_back(std::move(state));
      SendTo(*child, std::move(message));
    } else if (child->kill_at_ms == 0) {
      DrainWorker(*child);
    }
  }
  std::erase_if(seats_, [this](const auto& seat) {
    return seat.first.first == ChildKind::kWorker && seat.first.second >= workers_;
  });
  SpawnMissing(MonotonicMs());
  reload_deadline_ms_ = MonotonicMs() + kAckMs;
}

// False: the configuration has none.
bool Master::ReadStateFile() {
  if (!hooks_.load_state || config_->admin.state_file.empty()) return false;
  const Status status = management_.LoadState(hooks_.load_state(*config_));
  if (!status.ok()) Log(LogLevel::kError, "admin.state_file: {}", status.detail());
  return true;
}

Result<UniqueFd> Master::SealedConfig(const Config& config) const {
  return MakeSealedMemfd("ultrabalancer-config", hooks_.serialize ? hooks_.serialize(config) : "");
}

Message Master::ConfigMessage() {
  // What children were forked with needs none until somebody has to be told again.
  if (!config_memfd_.valid()) {
    Result<UniqueFd> memfd = SealedConfig(*config_);
    if (memfd) config_memfd_ = std::move(*memfd);
  }
  Message message;
  message.type = MessageType::kConfig;
  message.arg = generation_;
  message.fds.emplace_back(fcntl(config_memfd_.get(), F_DUPFD_CLOEXEC, 3));
  return message;
}

// Sockets of addresses that are configured no more stop taking connections now and are closed a
// moment later.
void Master::RetireRemoved() {
  std::vector<std::string> removed;
  for (const ListenSocket& socket : sockets_.sockets()) {
    const bool wanted =
        std::any_of(config_->listen.begin(), config_->listen.end(),
                    [&](const ListenConfig& address) { return address.text == socket.address; });
    const bool noted = std::find(removed.begin(), removed.end(), socket.address) != removed.end();
    if (!wanted && !noted) removed.push_back(socket.address);
  }
  for (const std::string& address : removed) {
    // A unix path is the other master's too while there are two.
    RetiringSockets retiring{address, sockets_.Remove(address, !SharesSockets()), MonotonicMs() + kRetireMs};
    for (const ListenSocket& socket : retiring.sockets) {
      if (socket.passed || SharesSockets()) continue;
      const Status status = RefuseNewConnections(socket.fd.get());
      if (!status.ok()) Log(LogLevel::kWarn, "{}: {}", address, status.detail());
    }
    Log(LogLevel::kNotice, "no longer listening on {}", address);
    retiring_.push_back(std::move(retiring));
  }
}

void Master::CloseRetired(uint64_t now) {
  // Where every worker is stopped nobody has emptied the queues yet.
  const bool anybody = std::any_of(children_.begin(), children_.end(), [](const auto& child) {
    return child->kind == ChildKind::kWorker && !child->stopped;
  });
  for (RetiringSockets& retiring : retiring_) {
    if (now < retiring.due_ms) continue;
    if (retiring.let_go && (!anybody || retiring.unheard)) {
      // Who comes back has as long as everybody else.
      retiring.unheard = !anybody;
      retiring.due_ms = now + kLetGoMs;
      continue;
    }
    if (!retiring.let_go) {
      retiring.let_go = true;
      retiring.unheard = !anybody;
      retiring.due_ms = now + kLetGoMs;
      RemoveListeners(retiring.sockets);
      Log(LogLevel::kInfo, "the workers let go of {}", retiring.address);
      continue;
    }
    if (!SharesSockets()) StopListening(retiring.sockets);
    sockets_.Forget(std::move(retiring.sockets));
    retiring.sockets.clear();
  }
  std::erase_if(retiring_,
                [](const RetiringSockets& retiring) { return retiring.sockets.empty(); });
}

bool Master::AllAcked() const {
  return std::all_of(children_.begin(), children_.end(), [this](const auto& child) {
    return child->draining || !child->refusal.empty() ||
           (child->ready && child->acked >= generation_);
  });
}

// The end of a reload, good or bad: tells whoever waits.
void Master::FinishReload(std::vector<std::string> errors) {
  const bool committed = reload_deadline_ms_ != 0;
  reload_deadline_ms_ = 0;
  for (const auto& child : children_) {
    if (committed && !child->refusal.empty()) errors.push_back(child->refusal);
  }
  if (committed) {
    Log(LogLevel::kNotice, "reload: configuration {} {} after {} ms", generation_,
        AllAcked() ? "in force in every process" : "handed out, not every process has taken it yet",
        MonotonicMs() - reload_begun_ms_);
  }
  const bool everywhere = !errors.empty() || AllAcked();
  std::string lines;
  for (const std::string& error : errors) lines += (lines.empty() ? "" : "\n") + error;
  if (lines.size() > Channel::kMaxPayload) lines.resize(Channel::kMaxPayload);
  Child* controller = FindSeated(ChildKind::kController, 0);
  for (const uint64_t arg : answering_) {
    if (controller == nullptr) break;
    Message result;
    result.type = everywhere ? MessageType::kReloadResult : MessageType::kReloadHandedOut;
    result.arg = arg;
    result.payload = lines;
    SendTo(*controller, std::move(result));
  }
  answering_.clear();
  if (phase_ == Phase::kServing) {
    service_.Ready(errors.empty() ? "serving, configuration " + std::to_string(generation_)
                                  : "serving; the last reload was refused: " + errors.front());
  }
  WriteStatus(true, std::move(errors));
}

void Master::WriteStatus(bool done, std::vector<std::string> errors) {
  if (!pid_file_.held()) return;
  ReloadStatus status;
  status.pid = getpid();
  status.sequence = reload_sequence_;
  status.done = done;
  status.ok = errors.empty();
  status.generation = generation_;
  status.errors = std::move(errors);
  status.warnings = reload_warnings_;
  const Status written = WriteReloadStatus(ReloadStatusPath(pid_file_.path()), status);
  if (!written.ok()) Log(LogLevel::kWarn, "reload status: {}", written.detail());
}

}  // namespace ub
