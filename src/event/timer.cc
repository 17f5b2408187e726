#include "event/timer.h"

#include <event2/event.h>

#include "event/event_loop.h"

namespace ub {

LoopClient::~LoopClient() {
  if (place_ != UINT32_MAX) loop_->timers().Remove(this);
  CancelSoon();
}

void LoopClient::SetTimer(uint64_t deadline_ns) {
  deadline_ns_ = deadline_ns;
  TimerQueue& queue = loop_->timers();
  if (place_ == UINT32_MAX || queue.heap_[place_].at_ns > deadline_ns) queue.Arm(this);
}

void TimerQueue::Start() { timeout_ = event_new(loop_->base(), -1, 0, &TimerQueue::OnTimeout, this); }

void TimerQueue::Close() {
  if (timeout_ != nullptr) event_free(timeout_);
  timeout_ = nullptr;
  for (Entry& entry : heap_) entry.client->place_ = UINT32_MAX;
  heap_.clear();
}

void TimerQueue::OnTimeout(int, short, void* self) {
  auto* queue = static_cast<TimerQueue*>(self);
  queue->loop_->BeginCallback();
  queue->scheduled_ns_ = 0;
  queue->Expire();
  queue->Schedule();
}

void TimerQueue::Arm(LoopClient* client) {
  if (client->place_ == UINT32_MAX) {
    heap_.push_back({client->deadline_ns_, client});
    client->place_ = static_cast<uint32_t>(heap_.size() - 1);
  } else {
    heap_[client->place_].at_ns = client->deadline_ns_;
  }
  Up(client->place_);
  if (scheduled_ns_ == 0 || heap_[0].at_ns < scheduled_ns_) Schedule();
}

void TimerQueue::Remove(LoopClient* client) {
  const size_t i = client->place_;
  client->place_ = UINT32_MAX;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.client == client) return;
  Put(i, last);
  Up(i);
  Down(last.client->place_);
}

void TimerQueue::Expire() {
  const uint64_t now = loop_->now_ns();
  // Each entry at most once: a callback that sets its timer to now has it fire in the next turn.
  for (size_t most = heap_.size(); most > 0 && !heap_.empty() && heap_[0].at_ns <= now; --most) {
    LoopClient* client = heap_[0].client;
    if (client->deadline_ns_ > now) {  // it was moved later meanwhile
      heap_[0].at_ns = client->deadline_ns_;
      Down(0);
      continue;
    }
    Remove(client);
    if (client->deadline_ns_ == 0) continue;  // cancelled meanwhile
    client->deadline_ns_ = 0;
    client->OnTimer();
  }
}

void TimerQueue::Schedule() {
  if (heap_.empty()) return;
  scheduled_ns_ = heap_[0].at_ns;
  const uint64_t now = loop_->now_ns();
  // Rounded up to whole milliseconds, epoll's unit, so that a wake-up never comes early.
  const uint64_t wait_us =
      scheduled_ns_ > now ? (scheduled_ns_ - now + 999'999) / 1'000'000 * 1'000 : 0;
  timeval wait;
  wait.tv_sec = static_cast<time_t>(wait_us / 1'000'000);
  wait.tv_usec = static_cast<suseconds_t>(wait_us % 1'000'000);
  event_add(timeout_, &wait);
}

void TimerQueue::Put(size_t i, Entry entry) {
  heap_[i] = entry;
  entry.client->place_ = static_cast<uint32_t>(i);
}

void TimerQueue::Up(size_t i) {
  const Entry entry = heap_[i];
  while (i > 0) {
    const size_t parent = (i - 1) / 2;
    if (heap_[parent].at_ns <= entry.at_ns) break;
    Put(i, heap_[parent]);
    i = parent;
  }
  Put(i, entry);
}

void TimerQueue::Down(size_t i) {
  const Entry entry = heap_[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].at_ns < heap_[child].at_ns) ++child;
    if (heap_[child].at_ns >= entry.at_ns) break;
    Put(i, heap_[child]);
    i = child;
  }
  Put(i, entry);
}

}  // namespace ub
