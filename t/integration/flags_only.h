// The real binary, started by flags alone: for tests of the command line and of files that are not
// their own.
#ifndef UB_INTEGRATION_FLAGS_ONLY_H_
#define UB_INTEGRATION_FLAGS_ONLY_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "client.h"
#include "proxy.h"

namespace ub::itest {

// Listens on a free port; what it logs is kept. Stops with its scope.
class FlagsOnly {
 public:
  explicit FlagsOnly(std::vector<std::string> arguments) : port_(FreePort()) {
    AdoptOrphans();
    arguments.insert(arguments.begin(), BinaryPath());
    for (const auto& more :
         {std::string("--host"), std::string("127.0.0.1"), std::string("-p"), std::to_string(port_),
          std::string("--pid-file"), dir_.Path("ub.pid"), std::string("-g"),
          std::string("admin.enabled=false"), std::string("--no-health-check")}) {
      arguments.push_back(more);
    }
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const int log = open(dir_.Path("log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0666);
      dup2(log, 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~FlagsOnly() {
    kill(pid_, SIGTERM);
    int status = 0;
    if (!WaitFor([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
      ADD_FAILURE() << "it does not stop";
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
    }
  }
  bool WaitServing() {
    return WaitFor([this] { return FetchOnce(endpoint()).status == 200; });
  }
  std::string Log() const { return ReadFile(dir_.Path("log")); }
  pid_t pid() const { return pid_; }
  Endpoint endpoint() const { return Endpoint::V4(port_); }

 private:
  TempDir dir_;
  uint16_t port_;
  pid_t pid_ = -1;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_FLAGS_ONLY_H_
