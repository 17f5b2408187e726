#include "core/inheritance.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace ub {
namespace {

UniqueFd Listening() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  EXPECT_EQ(listen(fd.get(), 16), 0);
  return fd;
}

// Runs `body` in a child, as a new master would; its result is the exit status.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class InheritanceTest : public testing::Test {
 protected:
  InheritanceTest() {
    unix_.index = 9;
    unix_.address = "unix:/tmp/with a blank";
    unix_.shared = true;
    unix_.fd = Listening();
    tcp_.index = 3;
    tcp_.address = "127.0.0.1:80";
    tcp_.passed = true;
    tcp_.fd = Listening();
  }
  std::string ListOf(pid_t self) {
    Result<UniqueFd> list = WriteInheritance(
        self, {{"segment", segment_.get()}, {"link", link_.get()}, {"handover_send", way_.get()}}, {&unix_, &tcp_});
    EXPECT_TRUE(list.has_value());
    list_ = std::move(*list);
    return std::to_string(list_.get());
  }

  ListenSocket unix_, tcp_;
  UniqueFd segment_{memfd_create("segment", MFD_CLOEXEC)}, link_{memfd_create("link", MFD_CLOEXEC)},
      way_{memfd_create("way", MFD_CLOEXEC)};
  UniqueFd list_;
};

TEST_F(InheritanceTest, NothingIsPassedInAnOrdinaryStart) {
  const Inheritance found = TakeInheritance();
  EXPECT_FALSE(found.upgrade());
  EXPECT_TRUE(found.sockets.empty());
  EXPECT_TRUE(found.passed.empty());
}

TEST_F(InheritanceTest, WhatTheOlderMasterListsIsTaken) {
  const std::string list = ListOf(getpid());
  const pid_t self = getpid();
  EXPECT_EQ(InChild([&] {
              setenv(kInheritVariable, list.c_str(), 1);
              fcntl(tcp_.fd.get(), F_SETFD, 0);
              const Inheritance found = TakeInheritance();
              if (!found.upgrade() || found.predecessor != self) return 1;
              if (found.segment.get() != segment_.get() || found.link.get() != link_.get())
                return 2;
              if (found.handover_send.get() != way_.get() || found.handover_receive.valid() || found.state.valid())
                return 8;
              if (found.sockets.size() != 2) return 3;
              const ListenSocket &one = found.sockets[0], &two = found.sockets[1];
              if (one.index != 9 || one.address != unix_.address || !one.shared || one.passed)
                return 4;
              if (two.index != 3 || two.address != tcp_.address || two.shared || !two.passed)
                return 5;
              if ((fcntl(two.fd.get(), F_GETFD) & FD_CLOEXEC) == 0) return 6;
              return getenv(kInheritVariable) == nullptr ? 0 : 7;
            }),
            0);
}

// A variable that was kept by a shell, or another process's, must not make this one close anything.
TEST_F(InheritanceTest, AListOfSomebodyElseIsNotTaken) {
  for (const std::string& value :
       {ListOf(1), std::string("4711"), std::string("x"), std::string(""), std::string("0")}) {
    EXPECT_EQ(InChild([&] {
                setenv(kInheritVariable, value.c_str(), 1);
                return TakeInheritance().upgrade() ? 1 : 0;
              }),
              0)
        << value;
  }
}

TEST_F(InheritanceTest, SocketsOfTheServiceManagerBeginAtThree) {
  EXPECT_EQ(InChild([&] {
              dup2(tcp_.fd.get(), 3);
              const UniqueFd other(memfd_create("not a listening socket", 0));
              dup2(other.get(), 4);
              setenv("LISTEN_FDS", "2", 1);
              setenv("LISTEN_PID", "1", 1);
              if (!TakeInheritance().passed.empty()) return 1;  // another process's
              setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
              const Inheritance found = TakeInheritance();
              if (found.passed.size() != 1 || found.passed[0].get() != 3) return 2;
              if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0) return 3;
              if ((fcntl(3, F_GETFL) & O_NONBLOCK) == 0) return 4;
              return getenv("LISTEN_FDS") == nullptr ? 0 : 5;
            }),
            0);
}

TEST(UpgradeArgumentsTest, TheProgramIsNamedByItsPath) {
  EXPECT_EQ(UpgradeArguments({"/usr/sbin/ub", "-c", "x"}),
            (std::vector<std::string>{"/usr/sbin/ub", "-c", "x"}));
  EXPECT_TRUE(UpgradeArguments({"./ub"}).front().starts_with("/"));
  const std::string found = UpgradeArguments({"ub"}).front();
  EXPECT_TRUE(found.ends_with("unit_tests") || found.starts_with("/")) << found;
  EXPECT_TRUE(UpgradeArguments({}).empty());
}

}  // namespace
}  // namespace ub
