#include "core/listen_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace ub {
namespace {

ListenConfig Tcp(uint16_t port, const std::string& address = "127.0.0.1") {
  const bool v6 = address.find(':') != std::string::npos;
  return {address, port, false, (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port)};
}

ListenConfig Unix(const std::string& path) { return {path, 0, true, "unix:" + path}; }

// A connect that is not waited for; the descriptor.
UniqueFd StartConnect(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  return fd;
}

// True once the connection stands, false when nothing comes of it in `ms`.
bool Connected(int fd, int ms) {
  pollfd wait{fd, POLLOUT, 0};
  if (poll(&wait, 1, ms) != 1) return false;
  int error = 0;
  socklen_t bytes = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  return error == 0;
}

int ConnectUnix(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof(to.sun_path) - 1);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 ? 0 : errno;
}

class ListenSocketsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ub-listen-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  uint16_t PortOf(const ListenSockets& set) const {
    return BoundPort(set.sockets().front().fd.get());
  }

  std::string directory_;
  ListenSockets sockets_;
};

TEST_F(ListenSocketsTest, OpensManySocketsOnOnePort) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 16, 100).ok());
  ASSERT_EQ(sockets_.sockets().size(), 16u);
  std::set<uint32_t> indexes;
  for (const ListenSocket& socket : sockets_.sockets()) {
    indexes.insert(socket.index);
    EXPECT_EQ(BoundPort(socket.fd.get()), PortOf(sockets_));
    EXPECT_FALSE(socket.shared);
    EXPECT_TRUE(fcntl(socket.fd.get(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(socket.fd.get(), F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_EQ(indexes.size(), 16u);
  EXPECT_TRUE(sockets_.Has("127.0.0.1:0"));
  EXPECT_TRUE(Connected(StartConnect(PortOf(sockets_)).get(), 1000));
}

TEST_F(ListenSocketsTest, ASecondInstanceIsRefusedByName) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 4, 100).ok());
  const uint16_t port = PortOf(sockets_);
  ListenSockets other;
  const Status status = other.Open(Tcp(port), 4, 100);
  EXPECT_EQ(status.code(), StatusCode::kExists);
  EXPECT_EQ(status.detail(),
            "cannot listen on 127.0.0.1:" + std::to_string(port) +
                ": address already in use (another program, perhaps another instance, holds it)");
  EXPECT_TRUE(other.sockets().empty());
  EXPECT_EQ(other.Open(Tcp(port, "0.0.0.0"), 4, 100).code(), StatusCode::kExists);
}

TEST_F(ListenSocketsTest, AListenerThatSharesItsPortIsFoundToo) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  ASSERT_EQ(listen(fd.get(), 1), 0);
  EXPECT_EQ(sockets_.Open(Tcp(BoundPort(fd.get())), 2, 100).code(), StatusCode::kExists);
}

TEST_F(ListenSocketsTest, APortInTimeWaitIsFree) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 1, 100).ok());
  const uint16_t port = PortOf(sockets_);
  UniqueFd client = StartConnect(port);
  ASSERT_TRUE(Connected(client.get(), 1000));
  UniqueFd accepted(accept(sockets_.sockets()[0].fd.get(), nullptr, nullptr));
  ASSERT_TRUE(accepted.valid());
  accepted.Reset();  // the server closes first: its side goes to TIME_WAIT
  client.Reset();
  sockets_.sockets().clear();
  ListenSockets other;
  EXPECT_TRUE(other.Open(Tcp(port), 2, 100).ok());
}

TEST_F(ListenSocketsTest, OurOwnWildcardDoesNotKeepUsOff) {
  ASSERT_TRUE(sockets_.Open(Tcp(0, "0.0.0.0"), 2, 100).ok());
  EXPECT_TRUE(sockets_.Open(Tcp(PortOf(sockets_)), 2, 100).ok());
}

TEST_F(ListenSocketsTest, BothFamiliesOnOnePort) {
  ASSERT_TRUE(sockets_.Open(Tcp(0, "0.0.0.0"), 2, 100).ok());
  const Status status = sockets_.Open(Tcp(PortOf(sockets_), "::"), 2, 100);
  if (status.code() == StatusCode::kSystem) GTEST_SKIP() << "no IPv6 here: " << status.detail();
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(ListenSocketsTest, ForeignAddressAndNameAreErrors) {
  EXPECT_EQ(sockets_.Open(Tcp(0, "192.0.2.1"), 1, 10).code(), StatusCode::kInvalid);
  EXPECT_EQ(sockets_.Open(Tcp(0, "localhost.invalid"), 1, 10).code(), StatusCode::kInvalid);
}

TEST_F(ListenSocketsTest, AllOrNothingWhenTheTableIsFull) {
  EXPECT_EQ(sockets_.Open(Tcp(0), 5, 4).code(), StatusCode::kExhausted);
  EXPECT_TRUE(sockets_.sockets().empty());
  EXPECT_TRUE(sockets_.Open(Tcp(0), 4, 4).ok());  // the indexes were given back
}

TEST_F(ListenSocketsTest, GrowAddsToTheSamePort) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 4, 100).ok());
  ASSERT_TRUE(sockets_.Grow(Tcp(0), 10, 100).ok());
  ASSERT_EQ(sockets_.sockets().size(), 10u);
  for (const ListenSocket& socket : sockets_.sockets())
    EXPECT_EQ(BoundPort(socket.fd.get()), PortOf(sockets_));
  ASSERT_TRUE(sockets_.Grow(Tcp(0), 5, 100).ok());
  EXPECT_EQ(sockets_.sockets().size(), 10u);  // never fewer
}

TEST_F(ListenSocketsTest, RemovedIndexesStayTakenUntilForgotten) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 2, 2).ok());
  const uint16_t port = PortOf(sockets_);
  std::vector<ListenSocket> removed = sockets_.Remove("127.0.0.1:0");
  EXPECT_EQ(removed.size(), 2u);
  EXPECT_FALSE(sockets_.Has("127.0.0.1:0"));
  EXPECT_EQ(sockets_.Open(Tcp(0), 1, 2).code(), StatusCode::kExhausted);
  sockets_.Restore(std::move(removed));
  EXPECT_TRUE(sockets_.Has("127.0.0.1:0"));
  EXPECT_TRUE(Connected(StartConnect(port).get(), 1000));
  sockets_.Forget(sockets_.Remove("127.0.0.1:0"));
  EXPECT_TRUE(sockets_.Open(Tcp(0), 2, 2).ok());
}

// Workers close their copies a moment after the master: that must not look like another instance.
TEST_F(ListenSocketsTest, APortThatWasOursMayBeTakenAgain) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 2, 100).ok());
  const uint16_t port = PortOf(sockets_);
  const UniqueFd workers_copy(fcntl(sockets_.sockets()[0].fd.get(), F_DUPFD_CLOEXEC, 0));
  sockets_.Forget(sockets_.Remove("127.0.0.1:0"));
  EXPECT_TRUE(sockets_.Open(Tcp(port), 2, 100).ok());
}

// A reload may want the port of a removed address for another one, before the old sockets are closed.
TEST_F(ListenSocketsTest, APortThatIsBeingLetGoMayBeTakenAtAnotherAddress) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 2, 100).ok());
  const uint16_t port = PortOf(sockets_);
  const std::vector<ListenSocket> leaving = sockets_.Remove("127.0.0.1:0");
  EXPECT_TRUE(sockets_.Open(Tcp(port, "0.0.0.0"), 2, 100).ok());
  ListenSockets others;
  EXPECT_EQ(others.Open(Tcp(port, "0.0.0.0"), 2, 100).code(), StatusCode::kExists);
  others.NoteOurs(port);
  EXPECT_TRUE(others.Open(Tcp(port, "0.0.0.0"), 2, 100).ok());
}

TEST_F(ListenSocketsTest, RefusingDropsNewConnectionsAndKeepsTheQueue) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 1, 100).ok());
  const int listener = sockets_.sockets()[0].fd.get();
  const uint16_t port = PortOf(sockets_);
  UniqueFd early = StartConnect(port);
  ASSERT_TRUE(Connected(early.get(), 1000));
  ASSERT_TRUE(RefuseNewConnections(listener).ok());
  UniqueFd late = StartConnect(port);
  EXPECT_FALSE(Connected(late.get(), 200));
  UniqueFd accepted(accept(listener, nullptr, nullptr));
  ASSERT_TRUE(accepted.valid());
  // The accepted connection has the filter too, which must not harm it.
  ASSERT_EQ(send(early.get(), "hi", 2, 0), 2);
  char bytes[2];
  EXPECT_EQ(recv(accepted.get(), bytes, 2, MSG_WAITALL), 2);
  AcceptNewConnections(listener);
  EXPECT_TRUE(Connected(late.get(), 5000));  // its SYN comes again after a second
}

TEST_F(ListenSocketsTest, UnixPathIsOneSocketForAll) {
  const std::string path = directory_ + "/s";
  const mode_t masked = umask(077);
  const bool opened = sockets_.Open(Unix(path), 16, 100).ok();
  EXPECT_EQ(umask(masked), 077u) << "left as it was";
  ASSERT_TRUE(opened);
  ASSERT_EQ(sockets_.sockets().size(), 1u);
  EXPECT_TRUE(sockets_.sockets()[0].shared);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
  EXPECT_EQ(ConnectUnix(path), 0);
  EXPECT_TRUE(RefuseNewConnections(sockets_.sockets()[0].fd.get()).ok());
  sockets_.Remove("unix:" + path);
  EXPECT_NE(stat(path.c_str(), &info), 0);
  ASSERT_TRUE(sockets_.Open(Unix(path), 1, 100, 0600).ok());
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  sockets_.Remove("unix:" + path, false);
  EXPECT_EQ(stat(path.c_str(), &info), 0) << "another master's";
  sockets_.UnlinkPaths();
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  unlink(path.c_str());
}

TEST_F(ListenSocketsTest, AStaleUnixPathIsTakenOverALiveOneIsNot) {
  const std::string path = directory_ + "/s";
  {
    ListenSockets dead;  // goes without unlinking, as a killed process does
    ASSERT_TRUE(dead.Open(Unix(path), 1, 100).ok());
  }
  ASSERT_EQ(ConnectUnix(path), ECONNREFUSED);
  ASSERT_TRUE(sockets_.Open(Unix(path), 1, 100).ok());
  ListenSockets second;
  EXPECT_EQ(second.Open(Unix(path), 1, 100).code(), StatusCode::kExists);
  EXPECT_EQ(ConnectUnix(path), 0);  // and it did no harm
  sockets_.UnlinkPaths();
  EXPECT_EQ(ConnectUnix(path), ENOENT);
}

TEST_F(ListenSocketsTest, AFileInTheWayIsLeftAlone) {
  const std::string path = directory_ + "/file";
  std::ofstream(path) << "precious";
  EXPECT_EQ(sockets_.Open(Unix(path), 1, 100).code(), StatusCode::kExists);
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
  EXPECT_EQ(sockets_.Open(Unix(std::string(200, 'x')), 1, 100).code(), StatusCode::kTooLarge);
}

TEST_F(ListenSocketsTest, SocketsThatWerePassedInAreMatchedByAddress) {
  const auto passed = [](const ListenConfig& address, bool both) {
    ListenSockets opened;
    const bool v6 = address.address.find(':') != std::string::npos;
    UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int only6 = both ? 0 : 1;
    sockaddr_in6 at6{};
    at6.sin6_family = AF_INET6;
    inet_pton(AF_INET6, address.address.c_str(), &at6.sin6_addr);
    sockaddr_in at4{};
    at4.sin_family = AF_INET;
    inet_pton(AF_INET, address.address.c_str(), &at4.sin_addr);
    if (v6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6));
    EXPECT_EQ(
        bind(fd.get(),
             v6 ? reinterpret_cast<const sockaddr*>(&at6) : reinterpret_cast<const sockaddr*>(&at4),
             v6 ? sizeof(at6) : sizeof(at4)),
        0);
    EXPECT_EQ(listen(fd.get(), 16), 0);
    return fd;
  };
  std::vector<UniqueFd> fds;
  fds.push_back(passed(Tcp(0), false));
  fds.push_back(passed(Tcp(0, "::"), true));
  fds.push_back(passed(Tcp(0, "::"), false));
  const uint16_t v4 = BoundPort(fds[0].get()), both = BoundPort(fds[1].get()),
                 v6 = BoundPort(fds[2].get());
  EXPECT_FALSE(sockets_.TakePassed(Tcp(v4, "127.0.0.2"), &fds, 64)) << "another address";
  EXPECT_FALSE(sockets_.TakePassed(Tcp(v4, "0.0.0.0"), &fds, 64)) << "it takes only a part";
  EXPECT_FALSE(sockets_.TakePassed(Tcp(v6, "0.0.0.0"), &fds, 64)) << "IPv6 only";
  EXPECT_FALSE(sockets_.TakePassed(Unix(directory_ + "/s"), &fds, 64));
  EXPECT_TRUE(sockets_.TakePassed(Tcp(v4), &fds, 64));
  EXPECT_TRUE(sockets_.TakePassed(Tcp(both, "0.0.0.0"), &fds, 64)) << "it takes IPv4 too";
  EXPECT_TRUE(sockets_.TakePassed(Tcp(v6, "::"), &fds, 64));
  EXPECT_FALSE(sockets_.TakePassed(Tcp(v4), &fds, 64)) << "taken once";
  ASSERT_EQ(sockets_.sockets().size(), 3u);
  for (const ListenSocket& socket : sockets_.sockets()) EXPECT_TRUE(socket.shared && socket.passed);
  EXPECT_TRUE(sockets_.Grow(Tcp(v4), 8, 64).ok());
  EXPECT_EQ(sockets_.sockets().size(), 3u) << "there is one, and it cannot be had twice";
}

TEST_F(ListenSocketsTest, WhatListensNoMoreRefusesWhoeverHoldsACopy) {
  ASSERT_TRUE(sockets_.Open(Tcp(0), 4, 64).ok());
  const uint16_t port = PortOf(sockets_);
  std::vector<UniqueFd> copies;
  for (const ListenSocket& socket : sockets_.sockets())
    copies.emplace_back(fcntl(socket.fd.get(), F_DUPFD_CLOEXEC, 3));
  std::vector<ListenSocket> removed = sockets_.Remove(Tcp(0).text);
  StopListening(removed);
  sockets_.Forget(std::move(removed));
  EXPECT_FALSE(Connected(StartConnect(port).get(), 100));
  ASSERT_TRUE(sockets_.Open(Tcp(port), 4, 64).ok()) << "beside the copies";
  for (int i = 0; i < 32; ++i) EXPECT_TRUE(Connected(StartConnect(port).get(), 1000));
}

}  // namespace
}  // namespace ub
