#include "cli/demo.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "core/unique_fd.h"

namespace ub {
namespace {

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
  ASSERT_TRUE(demo.Start(2).ok());
  ASSERT_EQ(demo.addresses().size(), 2u);
  for (int number = 1; number <= 2; ++number) {
    const UniqueFd fd = Connect(demo.addresses()[static_cast<size_t>(number - 1)]);
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
  ASSERT_TRUE(demo.Start(1).ok());
  const UniqueFd fd = Connect(demo.addresses()[0]);
  const std::string answers = Exchange(fd.get(),
                                       "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                       "10\r\n\r\n0123456789" +
                                           Get("/whoami", "Connection: close\r\n"),
                                       "backend 1\n");
  EXPECT_NE(answers.find("\r\n\r\nok\nHTTP/1.1 200 OK\r\n"), std::string::npos) << answers;
  EXPECT_TRUE(answers.ends_with("backend 1\n")) << answers;
}

TEST(Demo, StopEndsItsProcesses) {
  DemoBackends demo;
  ASSERT_TRUE(demo.Start(3).ok());
  const std::vector<pid_t> pids = demo.pids();
  ASSERT_EQ(pids.size(), 3u);
  const std::string address = demo.addresses()[0];
  EXPECT_TRUE(Connect(address).valid());
  demo.Stop();
  for (const pid_t pid : pids) EXPECT_TRUE(kill(pid, 0) != 0 && errno == ESRCH) << pid;
  EXPECT_FALSE(Connect(address).valid());
  EXPECT_TRUE(demo.addresses().empty());
}

TEST(Demo, LaysItsBackendsIntoTheCommandLine) {
  CliAction action;
  action.source.flags = {{"--port", "listen_port", "8888"}, {"--host", "listen_address", "::1"}};
  DemoBackends demo;
  testing::internal::CaptureStdout();
  ASSERT_TRUE(demo.StartFor(&action));
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("http://[::1]:8888/"), std::string::npos) << text;
  ASSERT_EQ(action.source.flags.size(), 5u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(action.source.flags[i + 2].path, "backends");
    EXPECT_EQ(action.source.flags[i + 2].value, demo.addresses()[i]);
    EXPECT_NE(text.find(demo.addresses()[i]), std::string::npos);
  }
}

}  // namespace
}  // namespace ub
