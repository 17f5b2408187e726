#include "event/timer.h"

#include <random>
#include <vector>

#include "loop_fixture.h"

namespace ub {
namespace {

constexpr uint64_t kMs = 1'000'000;

class TimerTest : public LoopTest {
 protected:
  struct Alarm {
    explicit Alarm(LoopFixture* of) : fixture(of), timer(of->loop(), &Alarm::Ring, this) {}
    static void Ring(void* self) {
      auto* alarm = static_cast<Alarm*>(self);
      ++alarm->rings;
      alarm->rang_ns = alarm->fixture->loop()->now_ns();
      if (alarm->work) alarm->work();
    }
    LoopFixture* fixture;
    Timer timer;
    int rings = 0;
    uint64_t rang_ns = 0;
    std::function<void()> work;
  };
};

TEST_F(TimerTest, FiresOnceAndNeverEarly) {
  Alarm alarm(this);
  const uint64_t deadline = loop()->now_ns() + 3 * kMs + 1;
  alarm.timer.Set(deadline);
  EXPECT_TRUE(alarm.timer.active());
  EXPECT_EQ(alarm.timer.deadline_ns(), deadline);
  ASSERT_TRUE(RunUntil([&] { return alarm.rings > 0; }));
  EXPECT_GE(alarm.rang_ns, deadline);
  EXPECT_FALSE(alarm.timer.active());
  RunTurns();
  EXPECT_EQ(alarm.rings, 1);
}

TEST_F(TimerTest, PassedDeadlineFiresInTheNextTurn) {
  Alarm alarm(this);
  alarm.timer.Set(1);
  ASSERT_TRUE(RunUntil([&] { return alarm.rings == 1; }));
}

TEST_F(TimerTest, MovedLaterFiresAtTheLaterTime) {
  Alarm alarm(this), witness(this);
  const uint64_t now = loop()->now_ns();
  alarm.timer.Set(now + 2 * kMs);
  alarm.timer.Set(now + 20 * kMs);
  witness.timer.Set(now + 10 * kMs);
  witness.work = [&] { EXPECT_EQ(alarm.rings, 0); };
  ASSERT_TRUE(RunUntil([&] { return witness.rings == 1; }));
  ASSERT_TRUE(RunUntil([&] { return alarm.rings == 1; }));
  EXPECT_GE(alarm.rang_ns, now + 20 * kMs);
}

TEST_F(TimerTest, MovedEarlierFiresAtTheEarlierTime) {
  Alarm alarm(this), witness(this);
  const uint64_t now = loop()->now_ns();
  alarm.timer.Set(now + 3'600'000 * kMs);
  witness.timer.Set(now + 3'600'000 * kMs);
  alarm.timer.Set(now + 2 * kMs);
  ASSERT_TRUE(RunUntil([&] { return alarm.rings == 1; }));
  EXPECT_EQ(witness.rings, 0);
}

TEST_F(TimerTest, CancelledDoesNotFire) {
  Alarm alarm(this), witness(this);
  const uint64_t now = loop()->now_ns();
  alarm.timer.Set(now + 2 * kMs);
  witness.timer.Set(now + 4 * kMs);
  alarm.timer.Cancel();
  EXPECT_FALSE(alarm.timer.active());
  ASSERT_TRUE(RunUntil([&] { return witness.rings == 1; }));
  EXPECT_EQ(alarm.rings, 0);
}

TEST_F(TimerTest, CancelledAndSetAgainFiresOnce) {
  Alarm alarm(this), witness(this);
  const uint64_t now = loop()->now_ns();
  alarm.timer.Set(now + 2 * kMs);
  alarm.timer.Cancel();
  alarm.timer.Set(now + 5 * kMs);
  witness.timer.Set(now + 9 * kMs);
  ASSERT_TRUE(RunUntil([&] { return witness.rings == 1; }));
  EXPECT_EQ(alarm.rings, 1);
  EXPECT_GE(alarm.rang_ns, now + 5 * kMs);
}

TEST_F(TimerTest, DestroyedTimerIsForgottenWhereverItStands) {
  Alarm last(this);
  const uint64_t now = loop()->now_ns();
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (uint64_t i = 0; i < 50; ++i) {
    alarms.push_back(std::make_unique<Alarm>(this));
    alarms.back()->timer.Set(now + (1 + (i * 37) % 50) * kMs / 10);
  }
  last.timer.Set(now + 8 * kMs);
  for (size_t i = 0; i < alarms.size(); i += 3) alarms[i].reset();
  ASSERT_TRUE(RunUntil([&] { return last.rings == 1; }));
  for (size_t i = 0; i < alarms.size(); ++i) {
    EXPECT_TRUE(i % 3 == 0 || alarms[i]->rings == 1) << i;
  }
}

TEST_F(TimerTest, CallbackMaySetCancelAndDestroyOthers) {
  Alarm doomed(this), later(this), witness(this);
  auto destroyed = std::make_unique<Alarm>(this);
  Alarm first(this);
  const uint64_t now = loop()->now_ns();
  first.timer.Set(now + 1 * kMs);
  doomed.timer.Set(now + 1 * kMs + 1);
  destroyed->timer.Set(now + 1 * kMs + 2);
  first.work = [&] {
    doomed.timer.Cancel();
    destroyed.reset();
    later.timer.Set(now + 3 * kMs);
  };
  witness.timer.Set(now + 6 * kMs);
  ASSERT_TRUE(RunUntil([&] { return witness.rings == 1; }));
  EXPECT_EQ(first.rings, 1);
  EXPECT_EQ(doomed.rings, 0);
  EXPECT_EQ(later.rings, 1);
}

TEST_F(TimerTest, TimerThatIsAlwaysDueDoesNotHoldTheLoop) {
  Alarm eager(this);
  int turns = 0;
  loop()->set_turn_hook([&] { ++turns; });
  eager.work = [&] {
    if (eager.rings >= 1000) FAIL() << "it rings for ever within one turn";
    if (turns < 5) eager.timer.Set(loop()->now_ns());
  };
  eager.timer.Set(loop()->now_ns());
  ASSERT_TRUE(RunUntil([&] { return turns >= 5; }));
}

TEST_F(TimerTest, ManyFireInTheOrderOfTheirDeadlinesHoweverTheyWereMoved) {
  std::mt19937 random(7);
  const uint64_t now = loop()->now_ns();
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<uint64_t> fired;
  for (int i = 0; i < 2000; ++i) {
    alarms.push_back(std::make_unique<Alarm>(this));
    Alarm* alarm = alarms.back().get();
    alarm->timer.Set(now + random() % (20 * kMs));
    alarm->work = [alarm, &fired] { fired.push_back(alarm->rang_ns); };
  }
  std::vector<uint64_t> wanted(alarms.size());
  for (size_t i = 0; i < alarms.size(); ++i) {
    wanted[i] = now + random() % (20 * kMs);
    alarms[i]->timer.Set(wanted[i]);
    if (i % 5 == 0) {
      alarms[i]->timer.Cancel();
      wanted[i] = 0;
    }
  }
  ASSERT_TRUE(RunUntil([&] { return fired.size() == 1600; }));
  for (size_t i = 0; i < alarms.size(); ++i) {
    EXPECT_EQ(alarms[i]->rings, wanted[i] == 0 ? 0 : 1) << i;
    EXPECT_GE(alarms[i]->rang_ns, wanted[i]) << i;
  }
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST_F(TimerTest, TimersMayOutliveTheirLoop) {
  Alarm alarm(this);
  alarm.timer.Set(loop()->now_ns() + kMs);
  DropLoop();
  EXPECT_EQ(alarm.rings, 0);
}

}  // namespace
}  // namespace ub
