// `ultrabalancer demo`: three small HTTP servers on free loopback ports, for the balancer to stand
// before.
//
// Used by main() before the master is made. Each backend is a process of its own, which ends with
// the process that started it. They are for looking around, not for production; each serves up to
// 1,000 connections.
#ifndef UB_CLI_DEMO_H_
#define UB_CLI_DEMO_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "core/status.h"

namespace ub {

class DemoBackends {
 public:
  DemoBackends() = default;
  ~DemoBackends() { Stop(); }
  DemoBackends(const DemoBackends&) = delete;
  DemoBackends& operator=(const DemoBackends&) = delete;

  // Starts `count` backends. When it returns they accept connections.
  Status Start(int count);
  // Starts three, lays them into the action's flags and says on standard output what to open.
  // False: said why not.
  bool StartFor(CliAction* action);
  // Ends the backends and waits for them. Only the process that started them does anything here.
  void Stop();

  // "127.0.0.1:40001"
  const std::vector<std::string>& addresses() const { return addresses_; }
  const std::vector<pid_t>& pids() const { return pids_; }

 private:
  Status StartOne(int number);

  pid_t owner_ = 0;
  std::vector<pid_t> pids_;
  std::vector<std::string> addresses_;
};

// One backend's life: serves `listening_fd` until killed. Answers every path with a page that names
// the backend, /whoami with the bare name and /health with "ok".
[[noreturn]] void ServeDemoBackend(int listening_fd, int number);

}  // namespace ub

#endif  // UB_CLI_DEMO_H_
