#include "http/request_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"

namespace ub {
namespace {

// Takes a place where there is one, and writes down what became of it.
class Request final : public Waiter {
 public:
  Request(RequestQueue* queue, int* places, std::vector<std::string>* log, std::string name)
      : queue_(queue), places_(places), log_(log), name_(std::move(name)) {}
  Turn OnQueueTurn() override {
    if (choosy) return Turn::kPassOver;
    if (*places_ == 0) return Turn::kNoPlace;
    --*places_;
    queue_->Leave(this);
    log_->push_back(name_);
    if (joins_again) {
      joins_again = false;
      EXPECT_TRUE(queue_->Join(this));
    }
    return Turn::kGone;
  }
  void OnQueueTimeout() override { log_->push_back(name_ + " late"); }
  bool choosy = false;
  bool joins_again = false;

 private:
  RequestQueue* queue_;
  int* places_;
  std::vector<std::string>* log_;
  std::string name_;
};

class RequestQueueTest : public ::testing::Test {
 protected:
  RequestQueueTest()
      : loop_(std::move(*EventLoop::Create())),
        queue_(loop_.get(), &gauge_),
        until_(loop_.get(), [](void* self) { static_cast<RequestQueueTest*>(self)->Look(); }, this) {
    queue_.Configure({.max_requests = 4, .timeout_ms = 60'000});
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      requests_.push_back(std::make_unique<Request>(&queue_, &places_, &log_, name));
    }
  }
  // Runs the loop until `count` things were written down.
  void RunUntil(size_t count) {
    wanted_ = count;
    deadline_ns_ = MonotonicNs() + 20'000'000'000;
    Look();
    loop_->Run();
  }
  void Look() {
    if (log_.size() >= wanted_ || MonotonicNs() > deadline_ns_) return loop_->Stop();
    until_.Set(MonotonicNs() + 1'000'000);
  }

  std::unique_ptr<EventLoop> loop_;
  std::atomic<uint32_t> gauge_{0};
  int places_ = 0;
  std::vector<std::string> log_;
  size_t wanted_ = 0;
  uint64_t deadline_ns_ = 0;
  RequestQueue queue_;
  Timer until_;
  std::vector<std::unique_ptr<Request>> requests_;
};

TEST_F(RequestQueueTest, IsBoundedAndCounts) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue_.Join(requests_[i].get()));
  EXPECT_FALSE(queue_.Join(requests_[4].get()));
  EXPECT_EQ(queue_.size(), 4u);
  EXPECT_EQ(gauge_, 4u);
  queue_.Leave(requests_[4].get());
  EXPECT_EQ(queue_.size(), 4u) << "it never waited";
  for (int i : {1, 3, 0, 2}) queue_.Leave(requests_[i].get());
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(gauge_, 0u);
}

TEST_F(RequestQueueTest, OffTakesNobody) {
  queue_.Configure({.max_requests = 0, .timeout_ms = 1000});
  EXPECT_FALSE(queue_.Join(requests_[0].get()));
}

TEST_F(RequestQueueTest, InTheOrderOfComing) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue_.Join(requests_[i].get()));
  places_ = 2;
  queue_.PlaceFreed();
  RunUntil(2);
  EXPECT_EQ(log_, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(RequestQueueTest, LooksByItselfForPlacesOfOthers) {
  ASSERT_TRUE(queue_.Join(requests_[0].get()));
  places_ = 1;  // nobody calls PlaceFreed
  RunUntil(1);
  EXPECT_EQ(log_, std::vector<std::string>{"a"});
}

TEST_F(RequestQueueTest, OneThatIsChoosyHoldsUpNobody) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue_.Join(requests_[i].get()));
  requests_[0]->choosy = true;
  places_ = 2;
  queue_.PlaceFreed();
  RunUntil(2);
  EXPECT_EQ(log_, (std::vector<std::string>{"b", "c"}));
  requests_[0]->choosy = false;
  places_ = 1;
  RunUntil(3);
  EXPECT_EQ(log_.back(), "a");
}

TEST_F(RequestQueueTest, OneThatJoinsAgainGoesBehindTheOthers) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(queue_.Join(requests_[i].get()));
  requests_[0]->joins_again = true;
  places_ = 3;
  queue_.PlaceFreed();
  RunUntil(3);
  EXPECT_EQ(log_, (std::vector<std::string>{"a", "b", "a"}));
}

TEST_F(RequestQueueTest, LateOnesAreTold) {
  queue_.Configure({.max_requests = 4, .timeout_ms = 10});
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(queue_.Join(requests_[i].get()));
  RunUntil(2);
  EXPECT_EQ(log_, (std::vector<std::string>{"a late", "b late"}));
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace ub
