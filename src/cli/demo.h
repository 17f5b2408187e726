// `ultrabalancer demo`: three small HTTP servers on free loopback ports, for the balancer to stand
// before.
//
// Used by main() before the master is made. Each backend is a process of its own, which ends with
// the process that started it. They are for looking around, not for production; each serves up to
// 1,000 connections.
//
//   DemoBackends demo;
//   if (!demo.StartFor(&action)) return 1;
//   (load the configuration of action.source)
//   WriteOut(DemoText(config), 0);
#ifndef UB_CLI_DEMO_H_
#define UB_CLI_DEMO_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/cli.h"
#include "core/config.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

class DemoBackends {
 public:
  DemoBackends() = default;
  ~DemoBackends() { Stop(); }
  DemoBackends(const DemoBackends&) = delete;
  DemoBackends& operator=(const DemoBackends&) = delete;

  // Starts `count` backends. Their addresses ("127.0.0.1:40001"), which accept connections then.
  Result<std::vector<std::string>> Start(int count);
  // Starts three and lays them into the action's flags. False: said why not.
  bool StartFor(CliAction* action);
  // Ends the backends and waits for them. Only the process that started them does anything here.
  void Stop();

 private:
  // The address of the new backend.
  Result<std::string> StartOne(int number);

  pid_t owner_ = 0;
  // Not process ids: the master reaps what dies, and the system gives the number to another.
  std::vector<UniqueFd> pidfds_;
};

// What to open, of the configuration that the backends are part of. Whole lines.
std::string DemoText(const Config& config);

// One backend's life: serves `listening_fd` until killed. Answers every path with a page that names
// the backend, /whoami with the bare name and /health with "ok".
[[noreturn]] void ServeDemoBackend(int listening_fd, int number);

}  // namespace ub

#endif  // UB_CLI_DEMO_H_
