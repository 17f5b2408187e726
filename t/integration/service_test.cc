// Under a service manager: sockets that it passes in, and what it is told, with a socket that plays
// systemd's part.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// The receiving end of NOTIFY_SOCKET.
class NotifySocket {
 public:
  explicit NotifySocket(std::string address) : address_(std::move(address)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    memcpy(at.sun_path, address_.data(), address_.size());
    if (at.sun_path[0] == '@') at.sun_path[0] = '\0';
    fd_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), bytes), 0);
  }
  const std::string& address() const { return address_; }
  // The next message that has the line; empty where none comes in time.
  std::string Next(const std::string& line) {
    std::string found;
    WaitFor([&] {
      char buffer[4096];
      for (;;) {
        const ssize_t got = recv(fd_.get(), buffer, sizeof(buffer), 0);
        if (got < 0) return false;
        const std::string text = "\n" + std::string(buffer, static_cast<size_t>(got)) + "\n";
        if (Contains(text, "\n" + line)) {
          found = text;
          return true;
        }
      }
    });
    return found;
  }

 private:
  std::string address_;
  UniqueFd fd_;
};

std::function<void()> Environment(std::vector<std::pair<std::string, std::string>> variables) {
  return [variables = std::move(variables)] {
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  };
}

// As systemd passes sockets: from descriptor 3 on.
std::function<void()> Passing(const UniqueFd& listener) {
  return [fd = listener.get()] {
    dup2(fd, 3);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  };
}

TEST(Service, IsToldOfStartReloadAndEnd) {
  const FakeBackend backend;
  const TempDir dir;
  for (const std::string& address :
       {dir.Path("notify"), "@ub-test-" + std::to_string(getpid()) + "-notify"}) {
    NotifySocket manager(address);
    Proxy proxy(ConfigFile().Backend(backend));
    proxy.BeforeExec(Environment({{"NOTIFY_SOCKET", address}, {"WATCHDOG_USEC", "200000"}}));
    ASSERT_TRUE(proxy.Start());
    const std::string main_pid = "\nMAINPID=" + std::to_string(proxy.master()) + "\n";
    const std::string ready = manager.Next("READY=1");
    EXPECT_TRUE(Contains(ready, main_pid)) << ready;
    EXPECT_TRUE(Contains(ready, "\nSTATUS=serving"));
    for (int i = 0; i < 3; ++i) EXPECT_NE(manager.Next("WATCHDOG=1"), "") << i;

    timespec before{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    ASSERT_TRUE(proxy.Reload(proxy.config()));
    const std::string reloading = manager.Next("RELOADING=1");
    const size_t at = reloading.find("MONOTONIC_USEC=");
    ASSERT_NE(at, std::string::npos) << reloading;
    EXPECT_GE(atoll(reloading.c_str() + at + 15), before.tv_sec * 1'000'000LL);
    EXPECT_NE(manager.Next("READY=1"), "");

    ConfigFile bad = proxy.config();
    proxy.WriteConfig(bad.Set("algorithm", "round-robbin"));
    proxy.Signal(SIGHUP);
    EXPECT_NE(manager.Next("RELOADING=1"), "");
    const std::string refused = manager.Next("READY=1");
    EXPECT_TRUE(Contains(refused, "refused")) << refused;
    EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
    EXPECT_NE(manager.Next("STOPPING=1"), "");
  }
}

TEST(Service, IsToldOfTheNewMasterOfAnUpgrade) {
  const FakeBackend backend;
  const TempDir dir;
  NotifySocket manager(dir.Path("notify"));
  Proxy proxy(ConfigFile().Backend(backend));
  proxy.BeforeExec(Environment({{"NOTIFY_SOCKET", manager.address()}}));
  ASSERT_TRUE(proxy.Start());
  EXPECT_NE(manager.Next("READY=1"), "");
  const pid_t successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_NE(manager.Next("READY=1\nMAINPID=" + std::to_string(successor) + "\n"), "");
  const pid_t old = proxy.master();
  kill(successor, SIGQUIT);
  EXPECT_NE(manager.Next("READY=1\nMAINPID=" + std::to_string(old) + "\n"), "") << "and back";
}

TEST(Service, ANotifySocketThatIsGoneIsNoTrouble) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  proxy.BeforeExec(Environment({{"NOTIFY_SOCKET", "/nonexistent/notify"}, {"WATCHDOG_USEC", "x"}}));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
}

TEST(Service, PassedSocketsAreUsedAndOutliveTheMaster) {
  const FakeBackend backend;
  const TempDir dir;
  for (const Endpoint& wanted : {Endpoint::V4(0), Endpoint::V6(0), Endpoint::Unix(dir.Path("s"))}) {
    const UniqueFd listener = ListenAt(wanted, 128);
    Endpoint at = wanted;
    if (at.family != AF_UNIX) at.port = LocalPort(listener.get());
    for (const int signal : {SIGQUIT, SIGTERM, SIGKILL}) {
      Proxy proxy(ConfigFile().Listen(at).Backend(backend));
      proxy.BeforeExec(Passing(listener));
      // It could not open the address: this process has it.
      ASSERT_TRUE(proxy.Start()) << at.Text() << " after " << signal;
      EXPECT_TRUE(Contains(proxy.Log(), "passed in by the service manager")) << proxy.Log();
      for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(at).status, 200);
      ASSERT_TRUE(proxy.Reload(proxy.config()));
      EXPECT_EQ(FetchOnce(at).status, 200);
      proxy.Remember();
      proxy.Stop(signal);
      ASSERT_TRUE(WaitFor([&] { return proxy.Survivors().empty(); }));
      EXPECT_TRUE(Socket::Connect(at, Millis(500)).valid()) << "the queue is the manager's";
    }
  }
}

TEST(Service, AllWorkersShareAPassedSocketAndAnUpgradeKeepsIt) {
  const FakeBackend backend;
  const UniqueFd listener = ListenAt(Endpoint::V4(0), 128);
  Proxy proxy(
      ConfigFile().Workers(2).Listen(Endpoint::V4(LocalPort(listener.get()))).Backend(backend));
  proxy.BeforeExec(Passing(listener));
  ASSERT_TRUE(proxy.Start());
  kill(proxy.Workers().front(), SIGSTOP);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "by one";
  kill(proxy.Workers().front(), SIGCONT);
  kill(proxy.Workers().back(), SIGSTOP);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "or the other";
  kill(proxy.Workers().back(), SIGCONT);
  const pid_t successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  proxy.Follow(successor);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Service, APassedSocketOfAnotherAddressIsSaid) {
  const FakeBackend backend;
  const UniqueFd listener = ListenAt(Endpoint::V4(0), 128);
  Proxy proxy(ConfigFile().Backend(backend));
  proxy.BeforeExec(Passing(listener));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(Contains(proxy.Log(), "at no address of the configuration")) << proxy.Log();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

}  // namespace
}  // namespace ub::itest
