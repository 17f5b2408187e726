#include "cli/demo.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/config_load.h"
#include "core/unique_fd.h"

namespace ub {
namespace {

namespace fs = std::filesystem;

UniqueFd Connect(const std::string& address) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
  timeval limit{20, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) return UniqueFd();
  return fd;
}

// Sends `text` and reads until `end` has come, or the other side closes.
std::string Exchange(int fd, const std::string& text, std::string_view end) {
  EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  std::string answer;
  char buffer[4096];
  while (answer.find(end) == std::string::npos) {
    const ssize_t size = recv(fd, buffer, sizeof(buffer), 0);
    if (size <= 0) break;
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

std::string Get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

TEST(Demo, BackendsAnswerWithTheirNames) {
  DemoBackends demo;
  const auto addresses = demo.Start(2);
  ASSERT_TRUE(addresses);
  ASSERT_EQ(addresses->size(), 2u);
  for (int number = 1; number <= 2; ++number) {
    const UniqueFd fd = Connect((*addresses)[static_cast<size_t>(number - 1)]);
    ASSERT_TRUE(fd.valid());
    const std::string name = "backend " + std::to_string(number);
    std::string answer = Exchange(fd.get(), Get("/whoami"), name + "\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n" + name + "\n")) << answer;
    answer = Exchange(fd.get(), Get("/health"), "ok\n");
    EXPECT_TRUE(answer.ends_with("\r\n\r\nok\n")) << "on the same connection: " << answer;
    answer = Exchange(fd.get(), Get("/", "Connection: close\r\n"), "</html>");
    EXPECT_NE(answer.find("Answered by <b>" + name + "</b>"), std::string::npos) << answer;
  }
}

TEST(Demo, BodiesAreThrownAwayAndRequestsMayComeTogether) {
  DemoBackends demo;
  const auto addresses = demo.Start(1);
  ASSERT_TRUE(addresses);
  const UniqueFd fd = Connect((*addresses)[0]);
  const std::string answers = Exchange(fd.get(),
                                       "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                       "10\r\n\r\n0123456789" +
                                           Get("/whoami", "Connection: close\r\n"),
                                       "backend 1\n");
  EXPECT_NE(answers.find("\r\n\r\nok\nHTTP/1.1 200 OK\r\n"), std::string::npos) << answers;
  EXPECT_TRUE(answers.ends_with("backend 1\n")) << answers;
}

// The children of this process that `before` does not hold.
std::set<pid_t> Children(const std::set<pid_t>& before = {}) {
  std::ifstream in(fmt::format("/proc/self/task/{}/children", getpid()));
  std::set<pid_t> pids;
  for (pid_t pid; in >> pid;) {
    if (!before.contains(pid)) pids.insert(pid);
  }
  return pids;
}

TEST(Demo, StopEndsItsProcesses) {
  const std::set<pid_t> before = Children();
  DemoBackends demo;
  const auto addresses = demo.Start(3);
  ASSERT_TRUE(addresses);
  const std::set<pid_t> pids = Children(before);
  ASSERT_EQ(pids.size(), 3u);
  EXPECT_TRUE(Connect((*addresses)[0]).valid());
  demo.Stop();
  for (const pid_t pid : pids) EXPECT_TRUE(kill(pid, 0) != 0 && errno == ESRCH) << pid;
  EXPECT_FALSE(Connect((*addresses)[0]).valid());
}

// A child that only waits, with that process id; -1 where this may not be asked for.
pid_t ForkAs(pid_t pid) {
  clone_args args{};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<uint64_t>(&pid);
  args.set_tid_size = 1;
  const long made = syscall(SYS_clone3, &args, sizeof args);
  while (made == 0) pause();
  return static_cast<pid_t>(made);
}

// The master reaps what dies, a backend too, and forks workers.
TEST(Demo, StopSparesTheProcessThatGotABackendsId) {
  const std::set<pid_t> before = Children();
  DemoBackends demo;
  ASSERT_TRUE(demo.Start(2));
  const std::set<pid_t> pids = Children(before);
  ASSERT_EQ(pids.size(), 2u);
  const pid_t gone = *pids.begin();
  kill(gone, SIGKILL);
  ASSERT_EQ(waitpid(gone, nullptr, 0), gone);
  const pid_t other = ForkAs(gone);
  if (other < 0) GTEST_SKIP() << "a process id cannot be chosen here";
  demo.Stop();
  EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0) << "it lives, and is not waited for";
  EXPECT_EQ(Children(before), std::set<pid_t>{other});
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST(Demo, LaysItsBackendsIntoTheCommandLine) {
  CliAction action;
  action.source.use_environment = false;
  DemoBackends demo;
  ASSERT_TRUE(demo.StartFor(&action));
  ASSERT_EQ(action.source.flags.size(), 3u);
  const auto loaded = LoadConfig(action.source);
  ASSERT_TRUE(loaded) << loaded.error().lines[0];
  const std::string text = DemoText(*loaded->config);
  for (const ConfigFlag& flag : action.source.flags) {
    EXPECT_TRUE(Connect(flag.value).valid());
    EXPECT_NE(text.find(" " + flag.value), std::string::npos) << text;
  }
}

// Wherever it comes from that another address is listened at.
TEST(Demo, SaysWhatToOpen) {
  const fs::path file = fs::temp_directory_path() / fmt::format("ub-demo-{}.yaml", getpid());
  std::ofstream(file) << "listen_port: 9001\nbackends: [ \"127.0.0.1:1\" ]\n";
  const struct {
    const char* file;
    EnvironmentMap environment;
    std::vector<ConfigFlag> flags;
    const char* text;
  } kCases[] = {
      {"",
       {},
       {},
       "Open http://127.0.0.1:8080/ in a browser, or: curl http://127.0.0.1:8080/whoami\n"},
      {"", {{"ULTRA_LISTEN_PORT", "9000"}}, {}, "Open http://127.0.0.1:9000/ in"},
      {file.c_str(), {}, {}, "Open http://127.0.0.1:9001/ in"},
      {file.c_str(), {}, {{"--port", "listen_port", "9002"}}, "Open http://127.0.0.1:9002/ in"},
      {"", {}, {{"-g listen", "listen", "[::]:9003"}}, "Open http://[::1]:9003/ in"},
      {"", {}, {{"--host", "listen_address", "fd00::1"}}, "Open http://[fd00::1]:8080/ in"},
      {"",
       {},
       {{"-g listen", "listen", "unix:/run/x, 0.0.0.0:9004"}},
       "Open http://127.0.0.1:9004/ in"},
      {"",
       {},
       {{"-g listen", "listen", "unix:/run/x"}},
       "Try: curl --unix-socket /run/x http://localhost/whoami\n"},
  };
  for (const auto& test : kCases) {
    ConfigSource source;
    source.file = test.file;
    source.environment = test.environment;
    source.flags = test.flags;
    source.flags.push_back({"--backend", "backends", "127.0.0.1:2"});
    const auto loaded = LoadConfig(source);
    ASSERT_TRUE(loaded) << loaded.error().lines[0];
    const std::string text = DemoText(*loaded->config);
    EXPECT_NE(text.find(fmt::format("backends: 127.0.0.1:2\n{}", test.text)), std::string::npos)
        << text;
    EXPECT_TRUE(text.ends_with("\nControl-C ends it.\n")) << text;
  }
  fs::remove(file);
  Config config;
  config.listen = {{.address = "0.0.0.0", .port = 443, .text = "0.0.0.0:443", .tls = true}};
  EXPECT_NE(
      DemoText(config).find(
          "Open https://127.0.0.1:443/ in a browser, or: curl -k https://127.0.0.1:443/whoami"),
      std::string::npos);
}

}  // namespace
}  // namespace ub
