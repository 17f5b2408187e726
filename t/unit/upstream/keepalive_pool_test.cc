#include "upstream/keepalive_pool.h"

#include <poll.h>
#include <sys/socket.h>

#include "core/unique_fd.h"
#include "loop_fixture.h"
#include "upstream_fixture.h"

namespace ub {
namespace {

using BackendConnectionPtr = std::unique_ptr<BackendConnection>;

// Whoever uses a connection.
class User final : public ConnectionHandler {
 public:
  void OnConnected(int) override {}
  void OnReadable() override {}
  void OnWritable() override {}
  void OnDeadline() override {}
};

class KeepalivePoolTest : public testing::Test {
 protected:
  KeepalivePoolTest() : backends_(2, 8), loop_(MakeLoop()) {
    backends_.Apply(MakeSpecs(4));
    row_ = backends_.shm().TakeRow(ChildKind::kWorker, 0);
    pool_ = std::make_unique<KeepalivePool>(loop_.get(), &backends_.shm(), row_);
    Configure();
  }
  ~KeepalivePoolTest() override {
    pool_.reset();
    RunTurns(*loop_);
    EXPECT_EQ(backends_.shm().idle(row_, 0), 0u);
  }

  void Configure() { pool_->Configure(config_); }
  // A connection in use: taken, and connected where it is new.
  BackendConnectionPtr Use(uint32_t slot = 0, uint32_t generation = 1, bool fresh = false) {
    BackendConnectionPtr used = pool_->Take(slot, generation, fresh);
    if (used->connection == nullptr) {
      int fds[2];
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
      peers_.emplace_back(fds[1]);
      used->connection =
          std::make_unique<Connection>(loop_.get(), UniqueFd(fds[0]), PlainTransport(), &user_);
      EXPECT_TRUE(used->connection->Start().ok());
      ++connects_;
    }
    used->connection->set_handler(&user_);
    used->requests++;
    return used;
  }
  // `count` in use at once, then all put back.
  void Peak(uint32_t count, uint32_t slot = 0) {
    std::vector<BackendConnectionPtr> used;
    for (uint32_t n = 0; n < count; ++n) used.push_back(Use(slot));
    for (auto& each : used) pool_->Put(std::move(each));
  }
  uint32_t Gauge(uint32_t slot = 0) { return backends_.shm().idle(row_, slot); }
  // Backend's ends that were not closed on.
  size_t OpenPeers() {
    size_t open = 0;
    for (const UniqueFd& peer : peers_) {
      pollfd look{peer.get(), POLLIN | POLLRDHUP, 0};
      open += poll(&look, 1, 0) == 0 || (look.revents & (POLLRDHUP | POLLHUP)) == 0;
    }
    return open;
  }

  User user_;
  Pool backends_;
  std::unique_ptr<EventLoop> loop_;
  ConnectionPoolConfig config_;
  uint32_t row_ = 0;
  std::unique_ptr<KeepalivePool> pool_;
  std::vector<UniqueFd> peers_;
  int connects_ = 0;
};

TEST_F(KeepalivePoolTest, OneConnectionServesOneAfterAnother) {
  for (uint32_t n = 1; n <= 10; ++n) {
    BackendConnectionPtr used = Use();
    EXPECT_EQ(used->requests, n);
    EXPECT_EQ(pool_->in_use(0), 1u);
    EXPECT_EQ(pool_->idle(0), 0u);
    pool_->Put(std::move(used));
    EXPECT_EQ(pool_->in_use(0), 0u);
    EXPECT_EQ(pool_->idle(0), 1u);
    EXPECT_EQ(Gauge(), 1u);
  }
  EXPECT_EQ(connects_, 1);
}

TEST_F(KeepalivePoolTest, LastInFirstOut) {
  BackendConnectionPtr a = Use(), b = Use();
  const int fd_b = b->connection->fd();
  pool_->Put(std::move(a));
  pool_->Put(std::move(b));
  BackendConnectionPtr again = Use();
  EXPECT_EQ(again->connection->fd(), fd_b);
  pool_->Put(std::move(again));
}

TEST_F(KeepalivePoolTest, FreshIgnoresIdleOnes) {
  Peak(1);
  BackendConnectionPtr fresh = pool_->Take(0, 1, true);
  EXPECT_EQ(fresh->connection, nullptr);
  EXPECT_EQ(pool_->idle(0), 1u);
  pool_->Discard(std::move(fresh));
  EXPECT_EQ(pool_->in_use(0), 0u);
}

TEST_F(KeepalivePoolTest, LimitPerBackend) {
  config_.max_idle_per_backend = 2;
  Configure();
  Peak(5);
  EXPECT_EQ(pool_->idle(0), 2u);
  Peak(1, 1);
  EXPECT_EQ(pool_->idle(1), 1u) << "each backend for itself";
  EXPECT_EQ(Gauge(0), 2u);
  EXPECT_EQ(Gauge(1), 1u);
  RunTurns(*loop_);
  EXPECT_EQ(OpenPeers(), 3u) << "the others are closed";
  config_.max_idle_per_backend = 0;
  Configure();
  EXPECT_EQ(pool_->idle(0), 0u) << "a lower limit holds at once";
  Peak(1);
  EXPECT_EQ(pool_->idle(0), 0u);
}

TEST_F(KeepalivePoolTest, AutoKeepsTheRecentPeakAndTrimsIt) {
  config_.idle_timeout_ms = 200;
  Configure();
  Peak(6);
  EXPECT_EQ(pool_->idle(0), 6u);
  // One is used all the time: the surplus goes with the peak that is past, at most two periods
  // later. Its deadline is put off by each use, so what closes the others is their own age or the
  // trim, never this one.
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    Peak(1);
    return pool_->idle(0) == 1;
  }));
  EXPECT_EQ(Gauge(), 1u);
}

TEST_F(KeepalivePoolTest, TrimWithoutAgeing) {
  config_.idle_timeout_ms = 60'000;
  Configure();
  Peak(6);
  config_.idle_timeout_ms = 20;  // of the periods from now on; idle ones keep their deadlines
  Configure();
  EXPECT_EQ(pool_->idle(0), 6u);
  Peak(1);
  EXPECT_EQ(pool_->idle(0), 6u) << "the peak is still recent";
}

TEST_F(KeepalivePoolTest, WhatIsInUseCountsAgainstThePeak) {
  std::vector<BackendConnectionPtr> used;
  for (int n = 0; n < 4; ++n) used.push_back(Use());
  pool_->Put(std::move(used.back()));
  used.pop_back();
  EXPECT_EQ(pool_->idle(0), 1u);
  used.push_back(Use());
  for (auto& each : used) pool_->Put(std::move(each));
  EXPECT_EQ(pool_->idle(0), 4u);
  EXPECT_EQ(connects_, 4);
}

TEST_F(KeepalivePoolTest, MaxRequestsEndsAConnection) {
  config_.max_requests = 3;
  Configure();
  for (int n = 0; n < 9; ++n) Peak(1);
  EXPECT_EQ(connects_, 3);
  EXPECT_EQ(pool_->idle(0), 0u);
  config_.max_requests = 0;
  Configure();
  for (int n = 0; n < 20; ++n) Peak(1);
  EXPECT_EQ(connects_, 4) << "0 is no limit";
}

TEST_F(KeepalivePoolTest, IdleOnesAreClosedInTime) {
  config_.idle_timeout_ms = 30;
  Configure();
  Peak(3);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return pool_->idle(0) == 0; }));
  EXPECT_EQ(Gauge(), 0u);
  EXPECT_EQ(OpenPeers(), 0u);
}

TEST_F(KeepalivePoolTest, OneThatTheBackendClosedOrSpokeOnIsClosed) {
  Peak(3);
  peers_[0].Reset();
  ASSERT_EQ(send(peers_[1].get(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return pool_->idle(0) == 1; }));
  EXPECT_EQ(Gauge(), 1u);
  BackendConnectionPtr used = Use();
  EXPECT_EQ(connects_, 3);
  pool_->Put(std::move(used));
}

TEST_F(KeepalivePoolTest, OneWithSomethingUnaskedIsNotKept) {
  BackendConnectionPtr used = Use();
  ASSERT_EQ(send(peers_[0].get(), "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL), 19);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return used->connection->readable(); }));
  pool_->Put(std::move(used));
  EXPECT_EQ(pool_->idle(0), 0u);
}

TEST_F(KeepalivePoolTest, AConnectionOfAnotherGenerationIsNotGivenOut) {
  Peak(2);
  BackendConnectionPtr next = pool_->Take(0, 2, false);
  EXPECT_EQ(next->connection, nullptr);
  EXPECT_EQ(next->generation, 2u);
  EXPECT_EQ(pool_->idle(0), 0u) << "both are closed";
  EXPECT_EQ(Gauge(), 0u);
  pool_->Discard(std::move(next));
  RunTurns(*loop_);
  EXPECT_EQ(OpenPeers(), 0u);
}

TEST_F(KeepalivePoolTest, ARemovedBackendsConnectionIsNotKept) {
  BackendConnectionPtr used = Use(backends_.Find(2));
  const uint32_t slot = used->slot;
  ASSERT_TRUE(backends_.table().Remove(slot).ok());
  pool_->Put(std::move(used));
  EXPECT_EQ(pool_->idle(slot), 0u);
}

TEST_F(KeepalivePoolTest, CloseUnlessAndCloseAll) {
  Peak(2, 0);
  Peak(2, 1);
  pool_->CloseUnless([](uint32_t slot, uint32_t) { return slot == 1; });
  EXPECT_EQ(pool_->idle(0), 0u);
  EXPECT_EQ(pool_->idle(1), 2u);
  pool_->CloseAll();
  EXPECT_EQ(pool_->idle(1), 0u);
  RunTurns(*loop_);
  EXPECT_EQ(OpenPeers(), 0u);
}

TEST_F(KeepalivePoolTest, DiscardClosesAndCounts) {
  BackendConnectionPtr used = Use();
  pool_->Discard(std::move(used));
  EXPECT_EQ(pool_->in_use(0), 0u);
  EXPECT_EQ(pool_->idle(0), 0u);
  RunTurns(*loop_);
  EXPECT_EQ(OpenPeers(), 0u);
}

}  // namespace
}  // namespace ub
