#include "core/outbox.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

Message Make(MessageType type, uint64_t arg, size_t bytes = 0) {
  Message message;
  message.type = type;
  message.arg = arg;
  message.payload.assign(bytes, 'x');
  return message;
}

class OutboxTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ends = Channel::MakePair();
    ASSERT_TRUE(ends);
    master_ = std::move(ends->first);
    child_ = std::move(ends->second);
  }
  // Until the child's socket takes no more: what a stopped child looks like.
  void Fill() {
    while (outbox_.empty()) {
      ASSERT_TRUE(
          outbox_.Send(master_, Make(MessageType::kListeners, filled_++, Channel::kMaxPayload))
              .ok());
    }
  }
  // All that arrives, flushing on the way.
  std::vector<Message> Drain() {
    std::vector<Message> all;
    for (;;) {
      auto got = child_.Receive();
      if (!got) return all;
      if (!got->has_value()) {
        if (outbox_.empty()) return all;
        EXPECT_TRUE(outbox_.Flush(master_).ok());
        continue;
      }
      all.push_back(std::move(**got));
    }
  }
  Channel master_, child_;
  Outbox outbox_;
  uint64_t filled_ = 0;
};

TEST_F(OutboxTest, SendsAtOnceWhereItCan) {
  ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kOwners, 0)).ok());
  EXPECT_TRUE(outbox_.empty());
  EXPECT_TRUE(child_.Receive()->has_value());
}

TEST_F(OutboxTest, KeepsTheOrder) {
  Fill();
  for (uint64_t i = 0; i < 20; ++i)
    ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kRemoveListeners, i)).ok());
  const std::vector<Message> got = Drain();
  ASSERT_EQ(got.size(), filled_ + 20);
  for (uint64_t i = 0; i < filled_; ++i) EXPECT_EQ(got[i].arg, i);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(got[filled_ + i].arg, i);
}

TEST_F(OutboxTest, OnlyTheNewestConfigurationWaits) {
  Fill();
  const size_t before = outbox_.size();
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kConfig, i)).ok());
    ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kOwners, i)).ok());
  }
  EXPECT_EQ(outbox_.size(), before + 2);
  std::vector<Message> got = Drain();
  EXPECT_EQ(got[got.size() - 2].arg, 999u);
}

TEST_F(OutboxTest, StopOvertakesEverything) {
  Fill();
  ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kStop, 0)).ok());
  EXPECT_EQ(outbox_.size(), 1u);
  EXPECT_EQ(Drain().back().type, MessageType::kStop);
}

TEST_F(OutboxTest, AMessageThatCannotBeSentIsDroppedAlone) {
  Fill();
  Message broken = Make(MessageType::kReopen, 1);
  broken.fds.emplace_back(-1);
  ASSERT_TRUE(outbox_.Send(master_, std::move(broken)).ok()) << "it waits";
  ASSERT_TRUE(outbox_.Send(master_, Make(MessageType::kDrain, 2)).ok());
  std::vector<Message> got;
  Status status = Status::Ok();
  while (!outbox_.empty() || got.empty() || got.back().type != MessageType::kDrain) {
    if (const Status flushed = outbox_.Flush(master_); !flushed.ok()) status = flushed;
    auto message = child_.Receive();
    ASSERT_TRUE(message);
    if (message->has_value()) got.push_back(std::move(**message));
  }
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.code(), StatusCode::kClosed);
  EXPECT_EQ(got.size(), filled_ + 1);
}

TEST_F(OutboxTest, AGoneChildDropsTheQueue) {
  Fill();
  child_.Close();
  EXPECT_EQ(outbox_.Send(master_, Make(MessageType::kDrain, 0)).code(), StatusCode::kClosed);
  EXPECT_TRUE(outbox_.empty());
}

}  // namespace
}  // namespace ub
