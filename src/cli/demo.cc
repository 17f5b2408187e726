#include "cli/demo.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cli/management_client.h"
#include "core/process_title.h"

namespace ub {

Result<std::string> DemoBackends::StartOne(int number) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Fail(Status::System("demo backend: socket", errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, length) != 0 || listen(fd.get(), 1024) != 0 ||
      getsockname(fd.get(), generic, &length) != 0) {
    return Fail(Status::System("demo backend: listen", errno));
  }
  const pid_t pid = fork();
  if (pid < 0) return Fail(Status::System("demo backend: fork", errno));
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
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    const int error = errno;
    kill(pid, SIGKILL);  // nobody has reaped it yet
    waitpid(pid, nullptr, 0);
    return Fail(Status::System("demo backend: pidfd_open", error));
  }
  pidfds_.push_back(std::move(pidfd));
  return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
}

Result<std::vector<std::string>> DemoBackends::Start(int count) {
  owner_ = getpid();
  std::vector<std::string> addresses;
  for (int number = 1; number <= count; ++number) {
    Result<std::string> address = StartOne(number);
    if (!address) {
      Stop();
      return Fail(address.error());
    }
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

bool DemoBackends::StartFor(CliAction* action) {
  constexpr int kCount = 3;
  const Result<std::vector<std::string>> addresses = Start(kCount);
  if (!addresses) {
    PrintErrors({addresses.error().detail()});
    return false;
  }
  for (const std::string& address : *addresses) {
    action->source.flags.push_back({"--backend", "backends", address});
  }
  return true;
}

void DemoBackends::Stop() {
  if (owner_ == getpid()) {
    for (const UniqueFd& pidfd : pidfds_) {
      syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    }
    for (const UniqueFd& pidfd : pidfds_) {
      siginfo_t info{};
      // The master may have reaped it already.
      while (waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) < 0 && errno == EINTR)
        continue;
    }
  }
  pidfds_.clear();
}

std::string DemoText(const Config& config) {
  std::string text = "Three demo backends:";
  for (const BackendConfig& backend : config.backends) text += " " + backend.AddressText();
  const auto web = std::ranges::find(config.listen, false, &ListenConfig::is_unix);
  if (web == config.listen.end()) {
    text += fmt::format("\nTry: curl --unix-socket {} http://localhost/whoami\n",
                        config.listen.front().address);
  } else {
    const std::string url =
        fmt::format("{}://{}", web->tls ? "https" : "http", ReachedAt(*web).text);
    // Whoever tries it out may have a certificate of his own making.
    text += fmt::format("\nOpen {0}/ in a browser, or: curl {1}{0}/whoami\n", url,
                        web->tls ? "-k " : "");
  }
  return text + "Control-C ends it.\n";
}

}  // namespace ub
