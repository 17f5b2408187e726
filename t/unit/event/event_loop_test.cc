#include "event/event_loop.h"

#include <vector>

#include "loop_fixture.h"

namespace ub {
namespace {

// A task that notes its call and then does something.
struct Job {
  Job(LoopFixture* fixture, std::function<void()> what) : task(fixture->loop(), &Job::Call, this), loop(fixture), work(std::move(what)) {}
  static void Call(void* self) {
    auto* job = static_cast<Job*>(self);
    ++job->calls;
    if (job->work) job->work();
  }
  Task task;
  LoopFixture* loop;
  std::function<void()> work;
  int calls = 0;
};

struct Mortal final : Retirable {
  Mortal(std::function<void()> at_death) : last_words(std::move(at_death)) {}
  ~Mortal() override { last_words(); }
  std::function<void()> last_words;
};

class EventLoopTest : public LoopTest {};

TEST_F(EventLoopTest, TaskRunsOnceForAllItsCalls) {
  Job job(this, {});
  loop()->RunSoon(&job.task);
  loop()->RunSoon(&job.task);
  EXPECT_TRUE(job.task.pending());
  RunTurns();
  EXPECT_EQ(job.calls, 1);
  EXPECT_FALSE(job.task.pending());
}

TEST_F(EventLoopTest, TaskThatAsksAgainRunsInTheNextTurn) {
  int turns = 0, turn_of_second = 0;
  loop()->set_turn_hook([&] { ++turns; });
  Job job(this, {});
  job.work = [&] {
    if (job.calls == 1) loop()->RunSoon(&job.task);
    if (job.calls == 2) turn_of_second = turns;
  };
  loop()->RunSoon(&job.task);
  RunTurns();
  EXPECT_EQ(job.calls, 2);
  EXPECT_EQ(turn_of_second, 2);
}

TEST_F(EventLoopTest, CancelledTaskDoesNotRun) {
  Job job(this, {});
  loop()->RunSoon(&job.task);
  job.task.Cancel();
  EXPECT_FALSE(job.task.pending());
  RunTurns();
  EXPECT_EQ(job.calls, 0);
}

TEST_F(EventLoopTest, TaskMayCancelOrDestroyAnotherOfTheSameTurn) {
  Job cancelled(this, {});
  auto destroyed = std::make_unique<Job>(this, nullptr);
  Job first(this, [&] {
    cancelled.task.Cancel();
    destroyed.reset();
  });
  loop()->RunSoon(&first.task);
  loop()->RunSoon(&cancelled.task);
  loop()->RunSoon(&destroyed->task);
  RunTurns();
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(cancelled.calls, 0);
}

TEST_F(EventLoopTest, RetiredObjectOutlivesTheCallbackAndDiesInTheSameTurn) {
  bool dead = false, dead_in_callback = false;
  int turns = 0, turn_of_death = 0;
  loop()->set_turn_hook([&] { ++turns; });
  Job job(this, [&] {
    loop()->Retire(std::make_unique<Mortal>([&] {
      dead = true;
      turn_of_death = turns;
    }));
    dead_in_callback = dead;
  });
  loop()->RunSoon(&job.task);
  RunTurns();
  EXPECT_FALSE(dead_in_callback);
  EXPECT_TRUE(dead);
  EXPECT_EQ(turn_of_death, 1);
}

TEST_F(EventLoopTest, DestructorMayRetireAnother) {
  int dead = 0;
  Job job(this, [&] {
    loop()->Retire(std::make_unique<Mortal>([&] {
      ++dead;
      loop()->Retire(std::make_unique<Mortal>([&] { ++dead; }));
    }));
  });
  loop()->RunSoon(&job.task);
  RunTurns();
  EXPECT_EQ(dead, 2);
}

TEST_F(EventLoopTest, HookIsCalledOnceATurnBeforeTheFirstCallback) {
  std::vector<char> order;
  loop()->set_turn_hook([&] { order.push_back('h'); });
  Job one(this, [&] { order.push_back('1'); }), two(this, [&] { order.push_back('2'); });
  loop()->RunSoon(&one.task);
  loop()->RunSoon(&two.task);
  RunTurns(2);
  EXPECT_EQ(std::string(order.begin(), order.end()), "h12h");
}

TEST_F(EventLoopTest, ClockIsReadOnceATurnAndMovesOn) {
  uint64_t first = 0, again = 0, next = 0;
  Job job(this, {});
  job.work = [&] {
    if (job.calls == 2) {
      next = loop()->now_ns();
      return;
    }
    first = loop()->now_ns();
    // The clock itself moves on meanwhile; what the loop tells does not.
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::microseconds(10)) {
    }
    again = loop()->now_ns();
    loop()->RunSoon(&job.task);
  };
  loop()->RunSoon(&job.task);
  RunTurns();
  EXPECT_NE(first, 0u);
  EXPECT_EQ(again, first);
  EXPECT_GE(next, first + 10'000);
}

TEST_F(EventLoopTest, StopEndsTheRunAfterTheTurn) {
  Job job(this, {}), other(this, {});
  job.work = [&] {
    loop()->Stop();
    loop()->RunSoon(&other.task);
  };
  loop()->RunSoon(&job.task);
  loop()->Run();
  EXPECT_EQ(job.calls, 1);
  EXPECT_EQ(other.calls, 0);
  RunTurns();
  EXPECT_EQ(other.calls, 1) << "it ran on";
}

TEST_F(EventLoopTest, DyingLoopCallsNobodyAndDeletesWhatWasRetired) {
  // A worker that stops at once leaves tasks behind; what they would call is half destroyed by then.
  bool dead = false;
  int hooks = 0;
  Job job(this, {});
  loop()->set_turn_hook([&] { ++hooks; });
  loop()->RunSoon(&job.task);
  loop()->Retire(std::make_unique<Mortal>([&] { dead = true; }));
  DropLoop();
  EXPECT_EQ(job.calls, 0);
  EXPECT_EQ(hooks, 0);
  EXPECT_TRUE(dead);
  EXPECT_FALSE(job.task.pending());
}

TEST_F(EventLoopTest, ScratchHoldsTheLargestPiece) { EXPECT_EQ(loop()->scratch().size(), EventLoop::kScratchBytes); }

}  // namespace
}  // namespace ub
