#include "proxy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace ub::itest {

ConfigFile::ConfigFile() {
  Set("workers", "2");
  Set("admin", "{ enabled: false }");
  // Probes would show up in the backends' counts, and failures that a test makes would open the
  // circuit.
  Set("health_check", "{ enabled: false, circuit_breaker: { enabled: false } }");
}

ConfigFile& ConfigFile::Backend(std::string yaml) {
  backends_.push_back(std::move(yaml));
  return *this;
}

ConfigFile& ConfigFile::Backend(const FakeBackend& backend, std::string_view extra) {
  return Backend(backend.Yaml(extra));
}

ConfigFile& ConfigFile::ClearBackends() {
  backends_.clear();
  return *this;
}

ConfigFile& ConfigFile::Listen(const Endpoint& endpoint) {
  listen_.push_back(endpoint);
  return *this;
}

ConfigFile& ConfigFile::ListenH2c(const Endpoint& endpoint) {
  words_[endpoint.Text()] = " h2c";
  return Listen(endpoint);
}

ConfigFile& ConfigFile::ListenTls(const Endpoint& endpoint) {
  words_[endpoint.Text()] = " tls";
  return Listen(endpoint);
}

ConfigFile& ConfigFile::CopyListen(const ConfigFile& from) {
  listen_ = from.listen_;
  words_ = from.words_;
  return *this;
}

ConfigFile& ConfigFile::ClearListen() {
  listen_.clear();
  words_.clear();
  return *this;
}

ConfigFile& ConfigFile::Set(const std::string& key, std::string value) {
  values_[key] = std::move(value);
  return *this;
}

std::string ConfigFile::Text() const {
  std::string text = "listen:\n";
  for (const auto& endpoint : listen_) text += "  - \"" + endpoint.Text() + (words_.contains(endpoint.Text()) ? words_.at(endpoint.Text()) : "") + "\"\n";
  for (const auto& [key, value] : values_) text += key + ": " + value + "\n";
  text += "backends:\n";
  for (const auto& backend : backends_) text += "  - " + backend + "\n";
  return text;
}

Proxy::Proxy(ConfigFile config, std::vector<std::string> arguments)
    : config_(std::move(config)),
      arguments_(std::move(arguments)),
      pick_port_(config_.listen().empty()) {
  AdoptOrphans();
  if (!config_.values().contains("pid_file")) config_.Set("pid_file", dir_.Path("ub.pid"));
}

Proxy::~Proxy() {
  if (testing::Test::HasFailure()) {
    fprintf(stderr, "--- configuration\n%s--- log\n%s---\n", config_.Text().c_str(), Log().c_str());
  }
  segment_.reset();
  // Under build/coverage: whoever is killed does not write down what it ran.
  if (!reaped_ && master_ > 0 && std::getenv("UB_COUNT_RUNS") != nullptr) Stop(SIGTERM, Millis(30'000));
  KillLeftovers();
}

void Proxy::WriteConfig(const ConfigFile& config) { WriteFile(config_path(), config.Text()); }

bool Proxy::Launch() {
  if (pick_port_) config_.ClearListen().Listen(Endpoint::V4(FreePort()));
  return Spawn();
}

bool Proxy::Start() {
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (pick_port_) config_.ClearListen().Listen(Endpoint::V4(FreePort()));
    if (!Spawn()) return false;
    if (WaitServing()) return true;
    const bool taken = Contains(Log(), "in use");
    if (!taken || !pick_port_) break;
    KillLeftovers();  // somebody took the port in between
  }
  ADD_FAILURE() << "the balancer did not start: " << Log();
  return false;
}

bool Proxy::Spawn() {
  WriteConfig(config_);
  std::vector<std::string> arguments{binary_, "-c", config_path()};
  arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const UniqueFd log(open(dir_.Path("stderr.log").c_str(),
                          O_CREAT | O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC, 0666));
  const UniqueFd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  master_ = fork();
  if (master_ == 0) {
    dup2(in.get(), 0);
    dup2(log.get(), 1);
    dup2(log.get(), 2);
    if (before_exec_) before_exec_();
    execv(argv[0], argv.data());
    perror("cannot start the binary under test");
    _exit(127);
  }
  reaped_ = false;
  return master_ > 0;
}

bool Proxy::WaitServing() {
  const auto gone = [this] {
    int status = 0;
    if (!reaped_ && waitpid(master_, &status, WNOHANG) == master_) {
      reaped_ = true;
      exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return reaped_;
  };
  WaitFor([&] { return gone() || AttachSegment(); });
  if (!Attached()) return false;
  WaitFor([&] { return gone() || Socket::Connect(endpoint(), Millis(1000)).valid(); });
  if (gone() || !WaitInForce(0) || !WaitConfiguredWorkers()) return false;
  // It waits in a queue until a worker's loop turns. No failure: another balancer at the port may have taken it.
  WaitFor([this] { return Total(&ProcessRow::accepted) > 0; }, Millis(1000));
  return WaitFor([this] { return Connections() == 0; });  // ours of a moment ago is gone again
}

bool Proxy::AttachSegment() {
  if (Attached()) return true;
  // Until it has become the balancer, its descriptors are this process's: other segments among them.
  if (!TitleOf(master_).starts_with("ultrabalancer: master")) return false;
  const std::string dir = "/proc/" + std::to_string(master_) + "/fd";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    if (error || !target.string().starts_with("/memfd:ultrabalancer")) continue;
    UniqueFd fd(open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) continue;
    auto attached = ShmSegment::Attach(std::move(fd));
    if (!attached) continue;  // not yet filled, or another memfd
    segment_.emplace(std::move(*attached));
    return true;
  }
  return false;
}

bool Proxy::WaitInForce(uint64_t generation) {
  return WaitFor([&] {
    const uint64_t newest = segment().header().config_generation.load();
    if (newest < generation || newest == 0) return false;
    uint32_t workers = 0;
    for (uint32_t r = 0; r < segment().header().row_high_water.load(); ++r) {
      const ProcessRow& row = segment().row(r);
      if (!segment().row_live(r) || row.state.load() != uint32_t(RowState::kLive)) continue;
      if (row.config_ack.load() < newest) return false;
      if (row.kind.load() == uint32_t(ChildKind::kWorker)) ++workers;
    }
    return workers > 0;
  });
}

bool Proxy::Reload(const ConfigFile& config) {
  const uint64_t before = generation();
  ConfigFile next = config;
  if (next.listen().empty()) {
    next.CopyListen(config_);
  }
  if (!next.values().contains("pid_file")) next.Set("pid_file", config_.values().at("pid_file"));
  WriteConfig(next);
  Signal(SIGHUP);
  if (!WaitInForce(before + 1)) {
    fprintf(stderr, "--- the master, which has not reloaded\n%s%s",
            ReadFile("/proc/" + std::to_string(master_) + "/status").c_str(),
            ReadFile("/proc/" + std::to_string(master_) + "/stack").c_str());
    return false;
  }
  config_ = next;
  return WaitConfiguredWorkers();
}

pid_t Proxy::Upgrade() {
  const std::string pid_file = config_.values().at("pid_file");
  const size_t before = Log().size();
  const auto successor = [&] { return static_cast<pid_t>(atoi(ReadFile(pid_file).c_str())); };
  Signal(SIGUSR2);
  const bool serves = WaitFor([&] {
    return Contains(std::string_view(ReadFile(dir_.Path("stderr.log"))).substr(before),
                    ") serves; WINCH");
  });
  Remember();
  if (!serves || successor() == master_ || !Alive(successor())) return 0;
  seen_.insert(successor());
  for (const pid_t pid : ChildrenOf(successor())) seen_.insert(pid);
  return successor();
}

void Proxy::Follow(pid_t successor) {
  WaitExit();
  master_ = successor;
  reaped_ = false;
}

bool Proxy::WaitConfiguredWorkers() {
  const auto workers = config_.values().find("workers");
  const int count = workers == config_.values().end() ? 0 : atoi(workers->second.c_str());
  return count == 0 || WaitWorkers(static_cast<size_t>(count));
}

bool Proxy::WaitWorkers(size_t count) {
  return WaitFor([&] {
    size_t serving = 0;
    const uint64_t newest = generation();
    for (uint32_t r = 0; r < segment().header().row_high_water.load(); ++r) {
      const ProcessRow& row = segment().row(r);
      if (segment().row_live(r) && row.state.load() == uint32_t(RowState::kLive) &&
          row.kind.load() == uint32_t(ChildKind::kWorker) && row.config_ack.load() == newest) {
        ++serving;
      }
    }
    Remember();
    return serving == count;
  });
}

int Proxy::Stop(int signal, Millis limit) {
  Remember();
  Signal(signal);
  return WaitExit(limit);
}

int Proxy::WaitExit(Millis limit) {
  int status = 0;
  if (!reaped_ && WaitFor([&] { return waitpid(master_, &status, WNOHANG) == master_; }, limit)) {
    reaped_ = true;
    exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return reaped_ ? exit_status_ : -1;
}

std::vector<pid_t> Proxy::Workers() const {
  std::vector<pid_t> workers;
  for (const pid_t pid : ChildrenOf(master_)) {
    if (TitleOf(pid).starts_with("ultrabalancer: worker ")) workers.push_back(pid);
  }
  return workers;
}

pid_t Proxy::Controller() const {
  for (const pid_t pid : ChildrenOf(master_)) {
    if (TitleOf(pid).starts_with("ultrabalancer: controller")) return pid;
  }
  return 0;
}

void Proxy::Remember() {
  for (const pid_t pid : ChildrenOf(master_)) seen_.insert(pid);
}

void Proxy::KillLeftovers() {
  if (master_ <= 0) return;
  Remember();
  if (!reaped_) {
    kill(master_, SIGKILL);
    waitpid(master_, nullptr, 0);
    reaped_ = true;
  }
  // Whoever is left was adopted by this process and not yet waited for, so its pid is not anybody
  // else's.
  // (A master that is killed here leaves its children to this process: hence the second look.)
  for (bool found = true; found;) {
    found = false;
    for (const pid_t pid : ChildrenOf(getpid())) {
      if (!seen_.contains(pid)) continue;
      for (const pid_t child : ChildrenOf(pid)) seen_.insert(child);
      if (Alive(pid)) kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      found = true;
    }
  }
  seen_.clear();
  segment_.reset();
}

uint64_t Proxy::InFlight() {
  uint64_t sum = 0;
  for (uint32_t b = 0; b < segment().header().backend_high_water.load(); ++b) {
    sum += segment().InFlight(b);
  }
  return sum;
}

uint64_t Proxy::Connections() { return segment().Connections(); }

uint64_t Proxy::Total(std::atomic<uint64_t> ProcessRow::*counter) {
  uint64_t sum = 0;
  for (uint32_t r = 0; r < segment().header().row_high_water.load(); ++r) {
    sum += (segment().row(r).*counter).load();
  }
  return sum;
}

std::vector<pid_t> Proxy::Survivors() const {
  std::vector<pid_t> alive;
  for (const pid_t pid : seen_) {
    if (Alive(pid)) alive.push_back(pid);
  }
  return alive;
}

bool Proxy::WaitIdle() {
  return WaitFor([this] { return InFlight() == 0; });
}

uint64_t Proxy::LargestWorkerRss() const {
  uint64_t largest = 0;
  for (const pid_t pid : Workers()) {
    for (const auto& line : Split(ReadFile("/proc/" + std::to_string(pid) + "/status"), '\n')) {
      if (!line.starts_with("RssAnon:")) continue;
      largest = std::max<uint64_t>(largest, strtoull(line.c_str() + 8, nullptr, 10) * 1024);
    }
  }
  return largest;
}

}  // namespace ub::itest
