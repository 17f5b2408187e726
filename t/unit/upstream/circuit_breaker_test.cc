#include "upstream/circuit_breaker.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace ub {
namespace {

constexpr uint64_t kS = 1'000'000'000;
constexpr uint64_t kT = 100 * kS;

class CircuitBreakerTest : public testing::Test {
 protected:
  CircuitBreakerTest() : slot_(std::make_unique<BackendSlot>()), breaker_(*slot_, config_) {}

  uint16_t epoch() const { return breaker_.Load().epoch; }
  CircuitState state() const { return breaker_.Load().state; }
  void Open(uint64_t now_ns = kT) {
    for (uint32_t n = 0; n < config_.failure_threshold; ++n) breaker_.OnFailure(epoch(), now_ns);
    ASSERT_EQ(state(), CircuitState::kOpen);
  }
  bool BeginHalfOpen(uint64_t now_ns) { return breaker_.BeginHalfOpen(now_ns, &moved_); }
  void HalfOpen() {
    Open();
    ASSERT_TRUE(BeginHalfOpen(kT + 60 * kS));
    ASSERT_EQ(state(), CircuitState::kHalfOpen);
  }

  CircuitBreakerConfig config_;  // 5 failures, 2 successes, 60 s, 3 requests
  std::unique_ptr<BackendSlot> slot_;
  CircuitBreaker breaker_;
  bool moved_ = false;  // by the last BeginHalfOpen
};

TEST_F(CircuitBreakerTest, WordPacksAndUnpacks) {
  for (const auto state : {CircuitState::kClosed, CircuitState::kOpen, CircuitState::kHalfOpen}) {
    const BreakerWord word{state, 0xabcd, BreakerWord::kDeadlineMask - 5};
    const BreakerWord back = BreakerWord::Unpack(word.Pack());
    EXPECT_EQ(back.state, word.state);
    EXPECT_EQ(back.epoch, word.epoch);
    EXPECT_EQ(back.deadline_ms, word.deadline_ms);
  }
  EXPECT_EQ(BreakerWord{}.Pack(), 0u);
}

TEST_F(CircuitBreakerTest, OpensAtTheThresholdAndNotBefore) {
  for (int n = 0; n < 4; ++n) EXPECT_FALSE(breaker_.OnFailure(0, kT));
  EXPECT_EQ(breaker_.Look(kT), BreakerGate::kPass);
  EXPECT_EQ(breaker_.OnFailure(0, kT), CircuitState::kClosed);
  EXPECT_EQ(breaker_.Look(kT), BreakerGate::kShut);
  EXPECT_EQ(breaker_.Load().deadline_ms, (kT + 60 * kS) / 1'000'000);
  EXPECT_EQ(epoch(), 1);
}

TEST_F(CircuitBreakerTest, FailuresMustBeInARow) {
  for (int round = 0; round < 10; ++round) {
    for (int n = 0; n < 4; ++n) breaker_.OnFailure(0, kT);
    EXPECT_FALSE(breaker_.OnSuccess(0));
  }
  EXPECT_EQ(state(), CircuitState::kClosed);
}

TEST_F(CircuitBreakerTest, SuccessWritesNothingWhileAllIsWell) {
  EXPECT_FALSE(breaker_.OnSuccess(0));
  EXPECT_EQ(slot_->breaker_counts, 0u);
  EXPECT_EQ(slot_->breaker, 0u);
}

TEST_F(CircuitBreakerTest, HalfOpenBeginsAtTheDeadlineOnce) {
  Open();
  EXPECT_FALSE(BeginHalfOpen(kT + 60 * kS - 1'000'000));
  EXPECT_EQ(state(), CircuitState::kOpen);
  EXPECT_EQ(breaker_.Look(kT + 60 * kS), BreakerGate::kTicket);
  EXPECT_EQ(state(), CircuitState::kOpen) << "looking moves nothing";
  EXPECT_TRUE(BeginHalfOpen(kT + 60 * kS));
  EXPECT_TRUE(moved_);
  const uint16_t begun = epoch();
  EXPECT_TRUE(BeginHalfOpen(kT + 60 * kS)) << "it is half-open, whoever began it";
  EXPECT_FALSE(moved_);
  EXPECT_EQ(epoch(), begun);
  EXPECT_EQ(breaker_.Look(kT + 60 * kS), BreakerGate::kTicket);
}

TEST_F(CircuitBreakerTest, AClosedOneCannotBeHalfOpened) {
  EXPECT_FALSE(BeginHalfOpen(kT));
  EXPECT_EQ(state(), CircuitState::kClosed);
}

TEST_F(CircuitBreakerTest, ClosesAfterEnoughSuccesses) {
  HalfOpen();
  EXPECT_FALSE(breaker_.OnSuccess(epoch()));
  EXPECT_EQ(state(), CircuitState::kHalfOpen);
  EXPECT_TRUE(breaker_.OnSuccess(epoch()));
  EXPECT_EQ(state(), CircuitState::kClosed);
  for (int n = 0; n < 4; ++n) EXPECT_FALSE(breaker_.OnFailure(epoch(), kT)) << "counts begin anew";
}

TEST_F(CircuitBreakerTest, OneFailureReopens) {
  HalfOpen();
  EXPECT_FALSE(breaker_.OnSuccess(epoch()));
  EXPECT_EQ(breaker_.OnFailure(epoch(), kT + 61 * kS), CircuitState::kHalfOpen);
  EXPECT_EQ(state(), CircuitState::kOpen);
  EXPECT_EQ(breaker_.Look(kT + 120 * kS), BreakerGate::kShut) << "the time-out begins anew";
  EXPECT_TRUE(BeginHalfOpen(kT + 121 * kS));
  EXPECT_FALSE(breaker_.OnSuccess(epoch())) << "and so do the successes";
}

TEST_F(CircuitBreakerTest, ReportsOfAnotherEpochSayNothing) {
  for (int n = 0; n < 4; ++n) breaker_.OnFailure(0, kT);
  Open();
  for (int n = 0; n < 10; ++n) EXPECT_FALSE(breaker_.OnFailure(0, kT + kS));
  for (int n = 0; n < 10; ++n)
    EXPECT_FALSE(breaker_.OnFailure(epoch(), kT + kS)) << "nothing begins while open";
  EXPECT_EQ(breaker_.Load().deadline_ms, (kT + 60 * kS) / 1'000'000)
      << "late failures do not prolong it";
  BeginHalfOpen(kT + 60 * kS);
  for (int n = 0; n < 10; ++n) {
    EXPECT_FALSE(breaker_.OnSuccess(0));
    EXPECT_FALSE(breaker_.OnFailure(1, kT));
  }
  EXPECT_EQ(state(), CircuitState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, WholeCycleRaisesTheEpochEachTime) {
  uint16_t expected = 0;
  for (int round = 0; round < 5; ++round) {
    Open();
    EXPECT_EQ(epoch(), ++expected);
    BeginHalfOpen(kT + 60 * kS);
    EXPECT_EQ(epoch(), ++expected);
    breaker_.OnSuccess(epoch());
    breaker_.OnSuccess(epoch());
    EXPECT_EQ(state(), CircuitState::kClosed);
    EXPECT_EQ(epoch(), ++expected);
  }
}

TEST_F(CircuitBreakerTest, EpochWrapsAround) {
  slot_->breaker = BreakerWord{CircuitState::kClosed, 0xfffe, 0}.Pack();
  slot_->breaker_counts = uint64_t{0xfffe} << 48;
  for (int n = 0; n < 4; ++n) breaker_.OnFailure(0xfffe, kT);
  EXPECT_TRUE(breaker_.OnFailure(0xfffe, kT));
  EXPECT_EQ(epoch(), 0xffff);
  EXPECT_TRUE(BeginHalfOpen(kT + 60 * kS));
  EXPECT_EQ(epoch(), 0);
  breaker_.OnSuccess(0);
  EXPECT_TRUE(breaker_.OnSuccess(0)) << "the counts of epoch 0xfffe are taken for old ones";
  EXPECT_EQ(epoch(), 1);
  Open();
  EXPECT_EQ(epoch(), 2);
}

// Half a day of failing again at every attempt: the epoch goes half way round while nothing succeeds.
TEST_F(CircuitBreakerTest, ClosesAfterAnOutageOfManyEpochs) {
  Open();
  uint64_t now = kT;
  for (int n = 0; n < 17'000; ++n) {
    now += 61 * kS;
    ASSERT_TRUE(BeginHalfOpen(now));
    ASSERT_TRUE(breaker_.OnFailure(epoch(), now));
  }
  ASSERT_TRUE(BeginHalfOpen(now + 61 * kS));
  EXPECT_FALSE(breaker_.OnSuccess(epoch()));
  EXPECT_TRUE(breaker_.OnSuccess(epoch()));
  EXPECT_EQ(state(), CircuitState::kClosed);
}

TEST_F(CircuitBreakerTest, CounterThatWasKilledBeforeTheMoveIsMadeUpFor) {
  for (int n = 0; n < 4; ++n) breaker_.OnFailure(0, kT);
  // The fifth was counted by a process that died before its CAS of the state.
  slot_->breaker_counts = slot_->breaker_counts + (uint64_t{1} << 24);
  EXPECT_TRUE(breaker_.OnFailure(0, kT));
  EXPECT_EQ(state(), CircuitState::kOpen);
}

TEST_F(CircuitBreakerTest, TurnedOffItPassesAndLearnsNothing) {
  Open();
  config_.enabled = false;
  EXPECT_EQ(breaker_.Look(kT), BreakerGate::kPass);
  EXPECT_FALSE(breaker_.OnFailure(epoch(), kT));
  EXPECT_FALSE(breaker_.OnSuccess(epoch()));
  EXPECT_EQ(state(), CircuitState::kOpen);
}

TEST_F(CircuitBreakerTest, ResetClosesAndEndsTheEpoch) {
  Open();
  const uint16_t before = epoch();
  CircuitBreaker::Reset(slot_->breaker);
  EXPECT_EQ(state(), CircuitState::kClosed);
  EXPECT_FALSE(breaker_.OnFailure(before, kT));
  for (int n = 0; n < 4; ++n) EXPECT_FALSE(breaker_.OnFailure(epoch(), kT));
  EXPECT_TRUE(breaker_.OnFailure(epoch(), kT));
}

TEST_F(CircuitBreakerTest, ThresholdsOfOneAndCountsThatNeverOverflow) {
  config_.failure_threshold = 1;
  EXPECT_TRUE(breaker_.OnFailure(0, kT));
  config_.success_threshold = 1;
  ASSERT_TRUE(BeginHalfOpen(kT + 60 * kS));
  EXPECT_TRUE(breaker_.OnSuccess(epoch()));
  config_.failure_threshold = UINT32_MAX;
  slot_->breaker_counts = uint64_t{epoch()} << 48 | uint64_t{(1u << 24) - 1} << 24 | 17;
  EXPECT_FALSE(breaker_.OnFailure(epoch(), kT));
  EXPECT_EQ(slot_->breaker_counts & 0xffffff, 17u) << "failures do not run into the successes";
  EXPECT_EQ(slot_->breaker_counts >> 48, epoch());
}

// Of many that see the same thing at once exactly one moves the state: that one logs it.
TEST_F(CircuitBreakerTest, EachMoveIsMadeByExactlyOne) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> opened{0}, closed{0}, ready{0};
    const uint16_t first = epoch();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, first] {
        ready++;
        while (ready < 4) std::this_thread::yield();
        for (int n = 0; n < 5; ++n) opened += breaker_.OnFailure(first, kT).has_value();
      });
    }
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(opened, 1);
    threads.clear();
    std::atomic<int> begun{0};
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        bool moved = false;
        EXPECT_TRUE(breaker_.BeginHalfOpen(kT + 60 * kS, &moved));
        begun += moved;
      });
    }
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(begun, 1);
    const uint16_t half = epoch();
    threads.clear();
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, half] { closed += breaker_.OnSuccess(half); });
    }
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(closed, 1);
    ASSERT_EQ(state(), CircuitState::kClosed);
  }
}

}  // namespace
}  // namespace ub
