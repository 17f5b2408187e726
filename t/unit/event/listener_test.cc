#include "event/listener.h"

#include <sys/resource.h>

#include <vector>

#include "loop_fixture.h"

namespace ub {
namespace {

class ListenerTest : public LoopTest, public ListenerHandler {
 protected:
  ListenerTest() : socket_(ListenTcp(1024)), listener_(loop(), socket_.fd.get(), this) { SetLogLevel(LogLevel::kOff); }
  ~ListenerTest() override { SetLogLevel(LogLevel::kInfo); }

  bool TakePlace(bool beyond) override {
    ++asked_;
    if (taken_ >= places_ && !beyond) return false;
    ++taken_;
    return true;
  }
  void GiveBackPlace() override { --taken_; }
  void OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& /*listener*/) override {
    EXPECT_TRUE(fd.valid());
    EXPECT_NE(fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(peer.ss_family, AF_INET);
    accepted_.push_back(std::move(fd));
  }
  void Dial(int count) {
    for (int i = 0; i < count; ++i) clients_.push_back(DialTcp(socket_.address));
  }

  int places_ = 100000, taken_ = 0, asked_ = 0;
  std::vector<UniqueFd> accepted_, clients_;
  TcpListener socket_;
  Listener listener_;
};

TEST_F(ListenerTest, AcceptsWhoIsThereAndGivesUnusedPlacesBack) {
  ASSERT_TRUE(listener_.Start().ok());
  RunTurns();
  EXPECT_EQ(asked_, 0);
  Dial(3);
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == 3; }));
  RunTurns();
  EXPECT_EQ(taken_, 3) << "the place for the fourth, who was not there, was given back";
}

TEST_F(ListenerTest, BatchIsBoundedAndTheRestComesInTheNextTurn) {
  Dial(Listener::kBatch + 10);
  size_t after_first_turn = 0;
  int turns = 0;
  loop()->set_turn_hook([&] {
    if (++turns == 2) after_first_turn = accepted_.size();
  });
  ASSERT_TRUE(listener_.Start().ok());
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == clients_.size() && turns > 1; }));
  EXPECT_EQ(after_first_turn, static_cast<size_t>(Listener::kBatch));
}

TEST_F(ListenerTest, PausesAtALimitAndGoesOnWhenThereIsRoom) {
  places_ = 2;
  Dial(5);
  ASSERT_TRUE(listener_.Start().ok());
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == 2; }));
  const int asked = asked_;
  RunTurns(50);
  EXPECT_LE(asked_, asked + 5) << "it does not spin while it waits";
  EXPECT_EQ(accepted_.size(), 2u);
  places_ = 4;
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == 4; }));
  EXPECT_EQ(taken_, 4);
}

TEST_F(ListenerTest, PausesWhenDescriptorsRunOut) {
  // One goes before: a sanitizer that sees a type for the first time needs a descriptor to look at it.
  Dial(1);
  ASSERT_TRUE(listener_.Start().ok());
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == 1; }));
  Dial(3);
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const UniqueFd probe(dup(0));
  const rlimit tight{static_cast<rlim_t>(probe.get()), old.rlim_max};
  const int before = asked_;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  ASSERT_TRUE(RunUntil([&] { return asked_ > before; }));
  const int asked = asked_;
  RunTurns(50);
  EXPECT_LE(asked_, asked + 5) << "it does not spin while it waits";
  EXPECT_EQ(taken_, 1) << "no place is lost";
  setrlimit(RLIMIT_NOFILE, &old);
  ASSERT_TRUE(RunUntil([&] { return accepted_.size() == 4; }));
  EXPECT_EQ(taken_, 4);
}

TEST_F(ListenerTest, DrainEmptiesTheQueueAndStops) {
  Dial(Listener::kBatch * 2 + 1);
  ASSERT_TRUE(listener_.Start().ok());
  listener_.Drain();
  EXPECT_EQ(accepted_.size(), clients_.size());
  EXPECT_EQ(taken_, static_cast<int>(clients_.size()));
  Dial(1);
  RunTurns();
  EXPECT_EQ(accepted_.size(), clients_.size() - 1) << "it accepts no more";
}

// Who stands in the queue would be reset with the socket.
TEST_F(ListenerTest, DrainTakesWhoIsThereAboveTheLimitToo) {
  places_ = 1;
  Dial(3);
  listener_.Drain();
  EXPECT_EQ(accepted_.size(), 3u);
  Dial(1);
  const auto later = std::chrono::steady_clock::now() + std::chrono::nanoseconds(2 * Listener::kPauseNs);
  RunUntil([&] { return std::chrono::steady_clock::now() > later; });
  EXPECT_EQ(accepted_.size(), 3u) << "it does not come back from a pause";
}

TEST_F(ListenerTest, SocketThatCannotAcceptNeitherSpinsNorHangs) {
  Dial(1);
  shutdown(socket_.fd.get(), SHUT_RDWR);  // accept fails with EINVAL from here on
  ASSERT_TRUE(listener_.Start().ok());
  RunTurns(50);
  EXPECT_LE(asked_, 5);
  EXPECT_EQ(taken_, 0);
  listener_.Drain();
  EXPECT_EQ(taken_, 0);
}

}  // namespace
}  // namespace ub
