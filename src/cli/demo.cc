#include "cli/demo.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "core/process_title.h"
#include "core/unique_fd.h"

namespace ub {

Status DemoBackends::StartOne(int number) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::System("demo backend: socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, length) != 0 || listen(fd.get(), 1024) != 0 ||
      getsockname(fd.get(), generic, &length) != 0) {
    return Status::System("demo backend: listen", errno);
  }
  const pid_t pid = fork();
  if (pid < 0) return Status::System("demo backend: fork", errno);
  if (pid == 0) {
    // Control-C reaches the whole group; the backends stay until the balancer is gone.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != owner_) _exit(0);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    SetProcessTitle(fmt::format("ultrabalancer: demo backend {}", number));
    ServeDemoBackend(fd.get(), number);
  }
  pids_.push_back(pid);
  addresses_.push_back(fmt::format("127.0.0.1:{}", ntohs(address.sin_port)));
  return Status::Ok();
}

Status DemoBackends::Start(int count) {
  owner_ = getpid();
  for (int number = 1; number <= count; ++number) {
    if (Status status = StartOne(number); !status.ok()) {
      Stop();
      return status;
    }
  }
  return Status::Ok();
}

bool DemoBackends::StartFor(CliAction* action) {
  constexpr int kCount = 3;
  if (Status status = Start(kCount); !status.ok()) {
    PrintErrors({status.detail()});
    return false;
  }
  std::string host = "127.0.0.1", port = "8080";
  for (const ConfigFlag& flag : action->source.flags) {
    if (flag.path == "listen_port") port = flag.value;
    if (flag.path == "listen_address" && flag.value != "0.0.0.0" && flag.value != "*")
      host = flag.value;
  }
  if (host.find(':') != std::string::npos && host.front() != '[') host = "[" + host + "]";
  std::string text = "Three demo backends:";
  for (const std::string& address : addresses_) {
    action->source.flags.push_back({"--backend", "backends", address});
    text += " " + address;
  }
  text += fmt::format(
      "\nOpen http://{0}:{1}/ in a browser, or: curl http://{0}:{1}/whoami\nControl-C ends it.\n",
      host, port);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return true;
}

void DemoBackends::Stop() {
  if (owner_ == getpid()) {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    for (const pid_t pid : pids_) {
      // The master may have reaped it already.
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
    }
  }
  pids_.clear();
  addresses_.clear();
}

}  // namespace ub
