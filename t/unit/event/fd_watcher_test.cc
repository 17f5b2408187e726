#include "event/fd_watcher.h"

#include <vector>

#include "loop_fixture.h"

namespace ub {
namespace {

class FdWatcherTest : public LoopTest {
 protected:
  FdWatcherTest() : pair_(SocketPair()) {}
  ~FdWatcherTest() override { watcher_.Unwatch(); }

  Status Watch(unsigned what) {
    return watcher_.Watch<&FdWatcherTest::OnEvent>(loop(), pair_.first.get(), what, this);
  }
  static void OnEvent(void* self, unsigned what) {
    auto* test = static_cast<FdWatcherTest*>(self);
    test->events_.push_back(what);
    if (test->work_) test->work_();
  }

  std::pair<UniqueFd, UniqueFd> pair_;
  FdWatcher watcher_;
  std::vector<unsigned> events_;
  std::function<void()> work_;
};

TEST_F(FdWatcherTest, LevelTriggeredTellsInEachTurnAsLongAsItIsTrue) {
  ASSERT_TRUE(Watch(FdWatcher::kRead).ok());
  EXPECT_TRUE(watcher_.watching());
  RunTurns();
  EXPECT_TRUE(events_.empty());
  SendAll(pair_.second.get(), "x");
  RunTurns(3);
  EXPECT_EQ(events_, std::vector<unsigned>(3, FdWatcher::kRead));
  Drink(pair_.first.get());
  events_.clear();
  RunTurns();
  EXPECT_TRUE(events_.empty());
}

TEST_F(FdWatcherTest, EdgeTriggeredTellsOnceForEachChange) {
  ASSERT_TRUE(Watch(FdWatcher::kRead | FdWatcher::kEdge).ok());
  SendAll(pair_.second.get(), "x");
  RunTurns();
  ASSERT_EQ(events_.size(), 1u);
  SendAll(pair_.second.get(), "y");
  RunTurns();
  EXPECT_EQ(events_.size(), 2u) << "though nothing was read";
}

TEST_F(FdWatcherTest, TellsOfEveryDirectionAtOnce) {
  ASSERT_TRUE(Watch(FdWatcher::kRead | FdWatcher::kWrite | FdWatcher::kClosed | FdWatcher::kEdge).ok());
  SendAll(pair_.second.get(), "x");
  shutdown(pair_.second.get(), SHUT_WR);
  RunTurns();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0], unsigned{FdWatcher::kRead | FdWatcher::kWrite | FdWatcher::kClosed});
}

TEST_F(FdWatcherTest, UnwatchedIsNotToldAndMayBeWatchedAgain) {
  ASSERT_TRUE(Watch(FdWatcher::kRead).ok());
  SendAll(pair_.second.get(), "x");
  watcher_.Unwatch();
  EXPECT_FALSE(watcher_.watching());
  RunTurns();
  EXPECT_TRUE(events_.empty());
  ASSERT_TRUE(Watch(FdWatcher::kRead).ok());
  ASSERT_TRUE(Watch(FdWatcher::kRead).ok()) << "watching replaces the watch before";
  RunTurns(1);
  EXPECT_EQ(events_.size(), 1u);
}

TEST_F(FdWatcherTest, CallbackMayUnwatch) {
  work_ = [this] { watcher_.Unwatch(); };
  ASSERT_TRUE(Watch(FdWatcher::kRead).ok());
  SendAll(pair_.second.get(), "x");
  RunTurns();
  EXPECT_EQ(events_.size(), 1u);
}

TEST_F(FdWatcherTest, DescriptorThatCannotBeWatchedIsAnError) {
  FdWatcher watcher;
  const Status status = watcher.Watch<&FdWatcherTest::OnEvent>(loop(), 1 << 20, FdWatcher::kRead, this);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(watcher.watching());
}

}  // namespace
}  // namespace ub
