// The master's way from a configuration to forked children, and the way out.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/clock.h"
#include "core/log.h"
#include "core/master.h"
#include "core/process_title.h"
#include "core/syscall_filter.h"

namespace ub {

namespace {

constexpr uint32_t kMaxSocketsPerAddress = 256;
constexpr uint32_t kSocketsPerWorker = 8;
constexpr uint64_t kPredecessorMs = 2000;
// Without a pid file that would tell: long enough for the workers of a killed master to let go.
constexpr uint64_t kTakenMs = 400;

bool IsStandard(const std::string& log) { return log == "stderr" || log == "stdout"; }

}  // namespace

Master::Master(MasterOptions options, ChildMains mains, MasterHooks hooks)
    : options_(std::move(options)),
      mains_(mains),
      hooks_(std::move(hooks)),
      config_(options_.config) {
  if (!options_.inherited.upgrade()) return;
  peer_.role = PeerRole::kPredecessor;
  peer_.pid = options_.inherited.predecessor;
  peer_.link = std::move(options_.inherited.link);
}

int Master::Run() {
  // A new binary takes the place of one that is in the background already.
  if (options_.daemon && !options_.inherited.upgrade()) {
    // First of all: the pid file's lock and everything else belong to the process that stays.
    Result<std::optional<int>> parent = daemon_.Begin();
    if (!parent) {
      fprintf(stderr, "ultrabalancer: %s\n", parent.error().detail().c_str());
      return 1;
    }
    if (parent->has_value()) return **parent;
  }
  const Status started = Start();
  if (!started.ok()) {
    fprintf(stderr, "ultrabalancer: %s\n", started.detail().c_str());
    if (config_->logging.file != "stderr" && logs_.error_fd() >= 0) {
      Log(LogLevel::kError, "{}", started.detail());
    }
    CleanUp();
    return 1;
  }
  while (phase_ != Phase::kStopping || !children_.empty()) {
    Wait();
    Act();
  }
  Log(LogLevel::kNotice, "the master leaves");
  CleanUp();
  return exit_status_;
}

Status Master::Start() {
  SetProcessTitle("ultrabalancer: master process " + options_.command_line);
  SetLogRole("master");
  SetLogLevel(config_->logging.level);
  Result<LogFiles> logs = LogFiles::Open(config_->logging);
  if (!logs) return logs.error();
  logs_.Replace(std::move(*logs));
  for (const auto& [key, file] : {std::pair{"file", &config_->logging.file}, {"access_log", &config_->logging.access_log}}) {
    if (!options_.daemon || !IsStandard(*file)) continue;
    Log(LogLevel::kWarn, "logging.{} is {}, which a daemon closes: set a file to keep the log", key, *file);
  }
  const uint64_t file_limit = RaiseFileLimit();
  if (file_limit != 0 && file_limit < uint64_t{config_->max_connections} * 2) {
    Log(LogLevel::kWarn,
        "max_connections {} may need {} open files a worker, the limit is {} (ulimit -n)",
        config_->max_connections, uint64_t{config_->max_connections} * 2, file_limit);
  }
  Result<Identity> identity = LookUpIdentity(*config_);
  if (!identity) return identity.error();
  identity_ = std::move(*identity);
  if (!identity_.warning.empty()) Log(LogLevel::kWarn, "{}", identity_.warning);
  const char* why = "";
  if (!SyscallFilterUsable(&why)) {
    Log(LogLevel::kNotice, "system calls of the children are not filtered: {}", why);
  }

  // Before the sockets, so that a second instance hears whom it collides with rather than which
  // port.
  const std::string pid_path = PidPath();
  Result<pid_t> running = ReadPidFile(pid_path);
  if (running && *running != getpid() && !config_->pid_file.empty()) {
    return Status(StatusCode::kExists, StatusSource::kSystem,
                  "pid file " + pid_path + " is held by a running instance with pid " +
                      std::to_string(*running) + " (stop it, or set another pid_file)");
  }
  // A pid file that nobody holds: the last master was killed, and its workers may be about to close
  // the ports.
  const bool left = !running && access(pid_path.c_str(), F_OK) == 0;
  const uint64_t ports_until = MonotonicMs() + (left ? kPredecessorMs : kTakenMs);
  workers_ = EffectiveWorkers(*config_);
  Status status = CreateSegment();
  if (status.ok()) status = TakeSockets();
  if (status.ok()) status = OpenSockets(ports_until);
  if (status.ok()) status = OpenManagement();
  if (status.ok() && options_.inherited.upgrade()) status = AwaitGo();
  if (status.ok() && hooks_.prepare) status = hooks_.prepare(*config_, *shm_);
  // In a table that was taken over slots may still be in use: its controller tries again.
  if (!status.ok() && !(options_.inherited.upgrade() && status.retryable())) return status;
  // From here on signals are ours. Until now the default applied: there was nothing to be put in
  // order.
  InstallSignals();
  status = WritePidFile();
  if (!status.ok()) return status;
  if (shm_->header().ticket_keys_made.load() == 0) RotateTickets(MonotonicMs());
  shm_->header().config_generation.store(generation_);
  WriteStatus(true, {});
  service_ = ServiceManager::FromEnvironment();
  if (service_.watchdog_ms() != 0) watchdog_due_ms_ = MonotonicMs() + service_.watchdog_ms();
  return Status::Ok();
}

Status Master::CreateSegment() {
  ShmLimits limits;
  limits.backends = config_->shared_memory.max_backends;
  limits.rate_entries = config_->shared_memory.rate_limit_entries;
  // Room to double the workers while as many drain, and for the controller.
  limits.processes = std::clamp<uint32_t>(workers_ * 4 + 8, 64, kMaxProcesses);
  const auto wanted =
      static_cast<uint32_t>(config_->listen.size()) * SocketsPerAddress(workers_) * 2;
  limits.sockets = std::clamp<uint32_t>(wanted, limits.sockets, 65536);
  if (workers_ + 1 > limits.processes) {
    return Status::Config("workers: at most " + std::to_string(kMaxProcesses - 1) +
                          " are possible");
  }
  if (AttachSegment(limits)) return Status::Ok();
  Result<ShmSegment> shm = ShmSegment::Create(limits);
  if (!shm) return shm.error();
  shm_.emplace(std::move(*shm));
  return Status::Ok();
}

// The older master's segment, where this binary understands it and the configuration fits into it:
// health and counters go on. False: a new one is needed.
bool Master::AttachSegment(const ShmLimits& needed) {
  if (!options_.inherited.segment.valid()) return false;
  Result<ShmSegment> shm = ShmSegment::Attach(std::move(options_.inherited.segment));
  if (!shm) {
    Log(LogLevel::kWarn, "upgrade: counters and health begin anew: {}", shm.error().detail());
    return false;
  }
  if (shm->backends() != needed.backends || shm->processes() < needed.processes ||
      shm->sockets() < needed.sockets || shm->rate_entries() != needed.rate_entries) {
    Log(LogLevel::kWarn,
        "upgrade: counters and health begin anew: the old shared segment has other capacities");
    return false;
  }
  shm_.emplace(std::move(*shm));
  generation_ = shm_->header().config_generation.load() + 1;
  Log(LogLevel::kNotice, "upgrade: the shared segment is taken over");
  return true;
}

// Sockets that were passed in, as far as the configuration names their addresses. The rest stays
// with whoever passed them.
Status Master::TakeSockets() {
  Inheritance& inherited = options_.inherited;
  // With the segment come the places in its ownership table; AttachSegment has used it up.
  const bool same_table = inherited.upgrade() && shm_->header().row_high_water.load() != 0;
  for (ListenSocket& socket : inherited.sockets) {
    const bool wanted =
        std::any_of(config_->listen.begin(), config_->listen.end(),
                    [&](const ListenConfig& address) { return address.text == socket.address; });
    if (!wanted) continue;
    const Status status = sockets_.Inherit(std::move(socket), same_table, shm_->sockets());
    if (!status.ok()) return status;
  }
  inherited.sockets.clear();
  for (const ListenConfig& address : config_->listen) {
    if (!sockets_.Has(address.text) &&
        sockets_.TakePassed(address, &inherited.passed, shm_->sockets()))
      Log(LogLevel::kNotice, "{} was passed in by the service manager", address.text);
  }
  for (const UniqueFd& fd : inherited.passed) {
    if (fd.valid())
      Log(LogLevel::kWarn,
          "a socket that the service manager passed in (port {}) is at no address of the "
          "configuration: not used",
          BoundPort(fd.get()));
  }
  inherited.passed.clear();
  return Status::Ok();
}

// The older master's socket where the address is the same, and what was changed at run time, from
// the state file or from it.
Status Master::OpenManagement() {
  Inheritance& inherited = options_.inherited;
  Status status = management_.Open(config_->admin, &inherited);
  inherited.management.clear();
  if (!status.ok()) return status;
  if (hooks_.load_state && !config_->admin.state_file.empty()) {
    return management_.LoadState(hooks_.load_state(*config_));
  }
  management_.InheritState(std::move(inherited.state));
  return Status::Ok();
}

Status Master::OpenSockets(uint64_t retry_until_ms) {
  for (const ListenConfig& address : config_->listen) {
    Status status = Status::Ok();
    for (;;) {
      status = sockets_.Has(address.text)
                   ? sockets_.Grow(address, SocketsPerAddress(workers_), shm_->sockets())
                   : sockets_.Open(address, SocketsPerAddress(workers_), shm_->sockets());
      if (status.code() != StatusCode::kExists || MonotonicMs() >= retry_until_ms) break;
      poll(nullptr, 0, 10);
    }
    if (!status.ok()) return status;
  }
  sockets_.MarkProtocols(config_->listen);
  return Status::Ok();
}

std::string Master::PidPath() const {
  if (!config_->pid_file.empty()) return config_->pid_file;
  return geteuid() == 0 ? options_.default_pid_file : "";
}

Status Master::WritePidFile() {
  const bool configured = !config_->pid_file.empty();
  const std::string path = PidPath();
  if (path.empty()) return Status::Ok();
  Result<PidFile> file = PidFile::Create(path);
  if (file) {
    pid_file_ = std::move(*file);
    return Status::Ok();
  }
  // Somebody else at a file that was asked for: an error. All other failures cost `-s SIGNAL`, not
  // the service.
  if (configured && file.error().code() == StatusCode::kExists) return file.error();
  Log(LogLevel::kWarn, "no pid file: {}", file.error().detail());
  return Status::Ok();
}

uint32_t Master::SocketsPerAddress(uint32_t workers) const {
  return std::min(kMaxSocketsPerAddress, std::max(1u, workers) * kSocketsPerWorker);
}

void Master::NowServing() {
  phase_ = Phase::kServing;
  for (const ListenConfig& address : config_->listen) {
    std::string where = address.text;
    for (const ListenSocket& socket : sockets_.sockets()) {
      const uint16_t port = BoundPort(socket.fd.get());
      if (socket.address != address.text || port == 0 || address.port != 0) continue;
      where += " (port " + std::to_string(port) + ")";
      break;
    }
    Log(LogLevel::kNotice, "listening on {}", where);
  }
  for (const ListenSocket& socket : management_.sockets().sockets())
    Log(LogLevel::kNotice, "management address {}", socket.address);
  Log(LogLevel::kNotice, "serving with {} worker{}", workers_, workers_ == 1 ? "" : "s");
  service_.Ready("serving");
  TellPeer();
  daemon_.Ready();
  if (options_.daemon && options_.inherited.upgrade()) DetachStandardStreams();
  // The log's descriptor is a copy of the terminal, which a daemon lets go of too.
  if (options_.daemon && (IsStandard(config_->logging.file) || IsStandard(config_->logging.access_log))) ReopenLogs();
}

void Master::CleanUp() {
  if (!SharesSockets()) {
    sockets_.UnlinkPaths();
    management_.UnlinkPaths();
  }
  if (pid_file_.held()) {
    unlink(ReloadStatusPath(pid_file_.path()).c_str());
    pid_file_.Remove();
  }
  SetLogFd(2);
}

}  // namespace ub
