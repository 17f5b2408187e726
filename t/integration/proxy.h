// The real binary under test: writes its configuration, starts it, waits until it serves, watches
// its processes and its shared segment, and leaves nothing behind.
//
// UB_BINARY: the path of the binary; default objs/ultrabalancer.
#ifndef UB_INTEGRATION_PROXY_H_
#define UB_INTEGRATION_PROXY_H_

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/shm_segment.h"
#include "fake_backend.h"
#include "support.h"
#include "wire.h"

namespace ub::itest {

std::string BinaryPath();

// What a command printed and how it ended.
struct CommandResult {
  int status = -1;  // exit status; 128 + signal where one ended it; -1 where it had to be killed
  std::string out, err;
};
// Runs the binary to its end (or kills it at the deadline).
CommandResult RunBinary(const std::vector<std::string>& arguments, Millis limit = kLimit);

// A configuration file in the making. Every key has one line; values are YAML in flow style.
class ConfigFile {
 public:
  ConfigFile();
  ConfigFile& Backend(std::string yaml);
  ConfigFile& Backend(const FakeBackend& backend, std::string_view extra = "");
  ConfigFile& ClearBackends();
  ConfigFile& Listen(const Endpoint& endpoint);
  ConfigFile& ListenTls(const Endpoint& endpoint);
  ConfigFile& ListenH2c(const Endpoint& endpoint);
  ConfigFile& CopyListen(const ConfigFile& from);
  ConfigFile& ClearListen();
  // A top-level key, such as Set("timeout", "{ request_ms: 300 }").
  ConfigFile& Set(const std::string& key, std::string value);
  ConfigFile& Workers(int count) { return Set("workers", std::to_string(count)); }

  const std::vector<Endpoint>& listen() const { return listen_; }
  const std::map<std::string, std::string>& values() const { return values_; }
  std::string Text() const;

 private:
  std::vector<Endpoint> listen_;
  std::map<std::string, std::string> words_;  // behind those of them that are for more than HTTP/1: "tls", "h2c"
  std::vector<std::string> backends_;
  std::map<std::string, std::string> values_;
};

class Proxy {
 public:
  // Where `config` listens nowhere a free port of 127.0.0.1 is picked.
  explicit Proxy(ConfigFile config, std::vector<std::string> arguments = {});
  // Kills what is left of its processes.
  ~Proxy();
  Proxy(const Proxy&) = delete;

  // True when every worker serves; a failed start is reported as a failure of the test, with the
  // log.
  bool Start();
  // Starts it and does not wait for anything.
  bool Launch();
  // Another program than the binary under test: its copy, which a test replaces.
  void UseBinary(std::string path) { binary_ = std::move(path); }
  // Runs in the master's process just before it becomes the balancer (environment, descriptors).
  void BeforeExec(std::function<void()> prepare) { before_exec_ = std::move(prepare); }
  // Sends the signal to the master and waits for its end; the exit status (128 + signal where one
  // ended it).
  int Stop(int signal = SIGTERM, Millis limit = kLimit);
  // Waits for the master's end.
  int WaitExit(Millis limit = kLimit);
  void Signal(int signal) { kill(master_, signal); }
  // USR2, and waits until the new master serves; its pid, 0 where it does not come to that. Both are
  // watched from here on; master() stays the old one until Follow.
  pid_t Upgrade();
  // The old master is gone: this one counts now.
  void Follow(pid_t successor);
  // Writes the configuration, sends HUP, waits until every live process works by it.
  bool Reload(const ConfigFile& config);
  void WriteConfig(const ConfigFile& config);
  // True once every live row works by the newest configuration, which is at least `generation`.
  bool WaitInForce(uint64_t generation);

  const ConfigFile& config() const { return config_; }
  Endpoint endpoint(size_t index = 0) const { return config_.listen().at(index); }
  std::string config_path() const { return dir_.Path("ub.yaml"); }
  std::string Path(std::string_view name) const { return dir_.Path(name); }
  std::string Log() const { return ReadFile(dir_.Path("stderr.log")); }

  pid_t master() const { return master_; }
  std::vector<pid_t> Workers() const;  // by their titles
  pid_t Controller() const;            // 0 where there is none
  // Until exactly `count` workers serve with the newest configuration.
  bool WaitWorkers(size_t count);
  // Notes the children of now; Survivors() are those ever noted that still live.
  void Remember();
  std::vector<pid_t> Survivors() const;

  bool Attached() const { return segment_.has_value(); }
  ShmSegment& segment() { return *segment_; }
  uint64_t InFlight();     // over all live rows and backends
  uint64_t Connections();  // client connections over all live rows
  // Sum of a counter over all rows.
  uint64_t Total(std::atomic<uint64_t> ProcessRow::*counter);
  bool WaitIdle();  // no request in flight anywhere
  uint64_t generation() { return segment().header().config_generation.load(); }
  // The largest anonymous resident set of a worker, in bytes: grows with what it buffers.
  uint64_t LargestWorkerRss() const;

 private:
  bool Spawn();
  bool WaitServing();
  bool WaitConfiguredWorkers();
  bool AttachSegment();
  void KillLeftovers();

  ConfigFile config_;
  std::vector<std::string> arguments_;
  std::string binary_ = BinaryPath();
  std::function<void()> before_exec_;
  TempDir dir_;
  bool pick_port_;
  pid_t master_ = -1;
  bool reaped_ = false;
  int exit_status_ = -1;
  mutable std::set<pid_t> seen_;
  std::optional<ShmSegment> segment_;
};

// Processes by their parent, and what ps shows of one.
std::vector<pid_t> ChildrenOf(pid_t parent);
std::string TitleOf(pid_t pid);
bool Alive(pid_t pid);  // and not a zombie
// Orphans of what this process starts become its own children, so that none can be missed.
void AdoptOrphans();

}  // namespace ub::itest

#endif  // UB_INTEGRATION_PROXY_H_
