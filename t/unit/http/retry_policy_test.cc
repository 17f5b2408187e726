#include "http/retry_policy.h"

#include "gtest/gtest.h"

namespace ub {
namespace {

constexpr TryFailure kAll[] = {TryFailure::kConnect, TryFailure::kReusedDied, TryFailure::kReset,
                               TryFailure::kTimeout, TryFailure::kStatus,     TryFailure::kBadResponse,
                               TryFailure::kUnaskable};

// A request that may be tried again for every reason.
RetryQuestion Question(TryFailure failure, int status = 503) {
  RetryQuestion question;
  question.failure = failure;
  question.status = static_cast<uint16_t>(status);
  question.reused_died = failure == TryFailure::kReusedDied ? 1 : 0;
  question.idempotent = question.replayable = true;
  return question;
}

RetryConfig Everything() {
  RetryConfig config;
  config.on_timeout = config.on_502 = config.on_503 = config.on_504 = true;
  return config;
}

TEST(RetryPolicy, WhatABackendRefusedUnseenIsTriedAgainWhateverTheMethod) {
  RetryConfig config;
  config.max_attempts = 1;  // it is not counted
  RetryQuestion question = Question(TryFailure::kRefused);
  question.idempotent = false;
  for (uint32_t died = 1; died <= 4; ++died) {
    question.reused_died = died;
    EXPECT_EQ(DecideRetry(config, question), died <= 3) << died;
  }
  question.reused_died = 1;
  question.replayable = false;
  EXPECT_FALSE(DecideRetry(config, question));
  question.replayable = question.response_begun = true;
  EXPECT_FALSE(DecideRetry(config, question));
}

TEST(RetryPolicy, DefaultsRetryWhatHasNotReachedABackend) {
  const RetryConfig config;
  EXPECT_TRUE(DecideRetry(config, Question(TryFailure::kConnect)));
  EXPECT_TRUE(DecideRetry(config, Question(TryFailure::kReusedDied)));
  EXPECT_TRUE(DecideRetry(config, Question(TryFailure::kReset)));
  EXPECT_FALSE(DecideRetry(config, Question(TryFailure::kTimeout)));
  EXPECT_FALSE(DecideRetry(config, Question(TryFailure::kStatus)));
  EXPECT_FALSE(DecideRetry(config, Question(TryFailure::kBadResponse)));
}

TEST(RetryPolicy, EachReasonIsSwitchedByItsKey) {
  const auto all_but = [](bool RetryConfig::*key) {
    RetryConfig config = Everything();
    config.*key = false;
    return config;
  };
  const RetryConfig all = Everything();
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_connect), Question(TryFailure::kConnect)));
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_reset), Question(TryFailure::kReset)));
  EXPECT_TRUE(DecideRetry(all, Question(TryFailure::kTimeout)));
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_timeout), Question(TryFailure::kTimeout)));
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_502), Question(TryFailure::kStatus, 502)));
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_503), Question(TryFailure::kStatus, 503)));
  EXPECT_FALSE(DecideRetry(all_but(&RetryConfig::on_504), Question(TryFailure::kStatus, 504)));
  for (const int status : {502, 503, 504}) EXPECT_TRUE(DecideRetry(all, Question(TryFailure::kStatus, status)));
  for (const int status : {200, 404, 500, 501, 505}) {
    EXPECT_FALSE(DecideRetry(all, Question(TryFailure::kStatus, status))) << status;
  }
  EXPECT_FALSE(DecideRetry(all, Question(TryFailure::kBadResponse)));
  EXPECT_FALSE(DecideRetry(all, Question(TryFailure::kUnaskable)));
}

TEST(RetryPolicy, NothingIsRetriedOnceTheClientHasSeenABeginningOrTheBodyIsGone) {
  for (const TryFailure failure : kAll) {
    RetryQuestion begun = Question(failure), gone = Question(failure);
    begun.response_begun = true;
    gone.replayable = false;
    EXPECT_FALSE(DecideRetry(Everything(), begun));
    EXPECT_FALSE(DecideRetry(Everything(), gone));
  }
}

TEST(RetryPolicy, OtherMethodsAreRetriedOnlyWhereNothingWasSent) {
  for (const TryFailure failure : kAll) {
    RetryQuestion question = Question(failure);
    question.idempotent = false;
    EXPECT_EQ(DecideRetry(Everything(), question), failure == TryFailure::kConnect);
  }
}

TEST(RetryPolicy, AttemptsAreBounded) {
  RetryConfig config = Everything();
  for (const uint32_t most : {1u, 2u, 5u}) {
    config.max_attempts = most;
    for (uint32_t made = 1; made <= 6; ++made) {
      RetryQuestion question = Question(TryFailure::kConnect);
      question.attempts = made;
      EXPECT_EQ(DecideRetry(config, question), made < most) << made << " of " << most;
    }
  }
}

TEST(RetryPolicy, DeadKeptAliveConnectionsDoNotCountAndBlameNobody) {
  RetryConfig config;
  config.max_attempts = 1;
  config.on_reset = false;
  config.budget_percent = 0;
  RetryQuestion question = Question(TryFailure::kReusedDied);
  question.retrying = 100;
  for (uint32_t died = 1; died <= 3; ++died) {
    question.reused_died = died;
    EXPECT_TRUE(DecideRetry(config, question)) << died;
  }
  question.reused_died = 4;
  EXPECT_FALSE(DecideRetry(config, question)) << "but not for ever";
}

TEST(RetryPolicy, BudgetIsAShareOfTheLoadAndNeverUnderThree) {
  RetryConfig config;
  struct Case {
    uint32_t percent, active, retrying;
    bool retry;
  };
  for (const Case& c : {Case{20, 1, 2, true}, Case{20, 1, 3, false}, Case{0, 1000, 2, true}, Case{0, 1000, 3, false},
                        Case{20, 100, 19, true}, Case{20, 100, 20, false}, Case{100, 50, 49, true}, Case{100, 50, 50, false},
                        Case{20, 4'000'000'000u, 700'000'000u, true}}) {
    config.budget_percent = c.percent;
    RetryQuestion question = Question(TryFailure::kConnect);
    question.active = c.active;
    question.retrying = c.retrying;
    EXPECT_EQ(DecideRetry(config, question), c.retry) << c.percent << " % of " << c.active << ", " << c.retrying;
  }
}

}  // namespace
}  // namespace ub
