#include "core/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ub {
namespace {

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ends = Channel::MakePair();
    ASSERT_TRUE(ends);
    a_ = std::move(ends->first);
    b_ = std::move(ends->second);
  }
  Channel a_, b_;
};

TEST_F(ChannelTest, MessageArrivesWhole) {
  Message message;
  message.type = MessageType::kConfigAck;
  message.arg = 0x123456789abcdef;
  message.payload = std::string("a\0b", 3);
  ASSERT_TRUE(*a_.Send(message));
  auto got = b_.Receive();
  ASSERT_TRUE(got && got->has_value());
  EXPECT_EQ((*got)->type, MessageType::kConfigAck);
  EXPECT_EQ((*got)->arg, message.arg);
  EXPECT_EQ((*got)->payload, message.payload);
  EXPECT_TRUE((*got)->fds.empty());
  got = b_.Receive();
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->has_value());
}

TEST_F(ChannelTest, LargestMessageWithAllDescriptors) {
  Message message;
  message.type = MessageType::kListeners;
  message.payload.assign(Channel::kMaxPayload, 'x');
  for (size_t i = 0; i < Channel::kMaxFds; ++i) {
    message.fds.emplace_back(memfd_create("x", MFD_CLOEXEC));
    const auto c = static_cast<char>(i);
    ASSERT_EQ(write(message.fds.back().get(), &c, 1), 1);
  }
  auto sent = a_.Send(message);
  ASSERT_TRUE(sent && *sent);
  auto got = b_.Receive();
  ASSERT_TRUE(got && got->has_value()) << got.error().ToString();
  ASSERT_EQ((*got)->fds.size(), Channel::kMaxFds);
  for (size_t i = 0; i < Channel::kMaxFds; ++i) {
    char c = 0;
    ASSERT_EQ(pread((*got)->fds[i].get(), &c, 1, 0), 1);
    EXPECT_EQ(c, static_cast<char>(i));
    EXPECT_TRUE(fcntl((*got)->fds[i].get(), F_GETFD) & FD_CLOEXEC);
  }
}

TEST_F(ChannelTest, TooLargeIsRefused) {
  Message message;
  message.payload.assign(Channel::kMaxPayload + 1, 'x');
  EXPECT_EQ(a_.Send(message).error().code(), StatusCode::kTooLarge);
}

TEST_F(ChannelTest, FullChannelWouldBlockAndDrains) {
  Message message;
  message.payload.assign(Channel::kMaxPayload, 'x');
  int sent = 0;
  for (; sent < 10'000; ++sent) {
    auto result = a_.Send(message);
    ASSERT_TRUE(result);
    if (!*result) break;
  }
  ASSERT_LT(sent, 10'000);
  for (int i = 0; i < sent; ++i) ASSERT_TRUE(b_.Receive()->has_value());
  EXPECT_TRUE(*a_.Send(message));
}

TEST_F(ChannelTest, EofIsClosedAtBothCalls) {
  b_.Close();
  EXPECT_EQ(a_.Receive().error().code(), StatusCode::kClosed);
  EXPECT_EQ(a_.Send(Message{}).error().code(), StatusCode::kClosed);  // and no SIGPIPE
}

TEST_F(ChannelTest, KilledPeerIsClosedAfterItsLastMessage) {
  const pid_t pid = fork();
  if (pid == 0) {
    a_.Close();
    Message message;
    message.arg = 5;
    if (b_.Send(message)) raise(SIGKILL);
    _exit(1);
  }
  b_.Close();
  waitpid(pid, nullptr, 0);
  auto got = a_.Receive();
  ASSERT_TRUE(got && got->has_value());
  EXPECT_EQ((*got)->arg, 5u);
  EXPECT_EQ(a_.Receive().error().code(), StatusCode::kClosed);
}

TEST_F(ChannelTest, GarbageIsAProtocolError) {
  ASSERT_EQ(send(a_.fd(), "hello", 5, 0), 5);
  EXPECT_EQ(b_.Receive().error().code(), StatusCode::kProtocol);
  const std::string large(Channel::kMaxPayload + 1000, 'x');
  ASSERT_GT(send(a_.fd(), large.data(), large.size(), 0), 0);
  EXPECT_EQ(b_.Receive().error().code(), StatusCode::kProtocol);
}

TEST_F(ChannelTest, BothEndsCloseOnExecAndDoNotBlock) {
  for (const int fd : {a_.fd(), b_.fd()}) {
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
  }
}

}  // namespace
}  // namespace ub
