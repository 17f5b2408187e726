#include "http/request_queue.h"

#include "core/clock.h"

namespace ub {

RequestQueue::RequestQueue(EventLoop* loop, std::atomic<uint32_t>* gauge)
    : loop_(loop), gauge_(gauge), poll_(loop, &RequestQueue::OnPump, this), pump_soon_(loop, &RequestQueue::OnPump, this) {}

bool RequestQueue::Join(Waiter* waiter) {
  if (size_ >= config_.max_requests) return false;
  waiter->waiting_ = true;
  waiter->deadline_ns_ = loop_->now_ns() + MsToNs(config_.timeout_ms);
  waiter->before_ = tail_;
  waiter->behind_ = nullptr;
  (tail_ != nullptr ? tail_->behind_ : head_) = waiter;
  tail_ = waiter;
  gauge_->store(++size_, std::memory_order_relaxed);
  if (!poll_.active()) poll_.Set(loop_->now_ns() + kPollNs);
  return true;
}

void RequestQueue::Leave(Waiter* waiter) {
  if (!waiter->waiting_) return;
  waiter->waiting_ = false;
  (waiter->before_ != nullptr ? waiter->before_->behind_ : head_) = waiter->behind_;
  (waiter->behind_ != nullptr ? waiter->behind_->before_ : tail_) = waiter->before_;
  gauge_->store(--size_, std::memory_order_relaxed);
}

void RequestQueue::OnPump(void* self) { static_cast<RequestQueue*>(self)->Pump(); }

void RequestQueue::Pump() {
  ExpireOld();
  // Bounded by those who wait now: one that goes on may join again, behind the others.
  Waiter* at = head_;
  for (uint32_t left = size_; at != nullptr && left > 0; --left) {
    Waiter* const behind = at->behind_;
    const Waiter::Turn turn = at->OnQueueTurn();
    if (turn == Waiter::Turn::kNoPlace) break;
    // Whoever went on may have moved others; only the one that stays put knows its successor.
    at = turn == Waiter::Turn::kGone ? head_ : behind;
  }
  if (head_ != nullptr) {
    poll_.Set(loop_->now_ns() + kPollNs);
  } else {
    poll_.Cancel();
  }
}

// In the order of joining, which is that of the deadlines as long as the time-out is not changed; after a change the
// longer ones before hold up the shorter ones behind for that once.
void RequestQueue::ExpireOld() {
  const uint64_t now = loop_->now_ns();
  while (head_ != nullptr && head_->deadline_ns_ <= now) {
    Waiter* const late = head_;
    Leave(late);
    late->OnQueueTimeout();
  }
}

}  // namespace ub
