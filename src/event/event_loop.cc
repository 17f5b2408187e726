#include "event/event_loop.h"

#include <event2/event.h>
#include <time.h>

#include <algorithm>

namespace ub {

void Task::Cancel() {
  if (list_ == nullptr) return;
  // The place stays, empty: the list may be being walked.
  std::replace(list_->begin(), list_->end(), this, static_cast<Task*>(nullptr));
  list_ = nullptr;
}

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  event_config* config = event_config_new();
  if (config == nullptr) return Fail(Status(StatusCode::kExhausted, StatusSource::kSystem, "out of memory"));
  // One thread a loop: no locks. The clock is ours, read once a turn.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
  event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) {
    return Fail(Status(StatusCode::kSystem, StatusSource::kSystem, "no event loop: epoll cannot be used"));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(base));
}

EventLoop::EventLoop(event_base* base)
    : base_(base), timers_(this), scratch_(new char[kScratchBytes]) {
  timers_.Start();
}

EventLoop::~EventLoop() {
  // Whom tasks and hook would call may be half destroyed by now.
  for (Task* task : soon_) {
    if (task != nullptr) task->list_ = nullptr;
  }
  soon_.clear();
  turn_hook_ = nullptr;
  EndTurn();
  timers_.Close();
  event_base_free(base_);
}

void EventLoop::Run() {
  stopped_ = false;
  while (!stopped_) {
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    if (!soon_.empty()) flags |= EVLOOP_NONBLOCK;
    event_base_loop(base_, flags);
    EndTurn();
  }
}

void EventLoop::RunSoon(Task* task) {
  if (task->pending()) return;
  task->list_ = &soon_;
  soon_.push_back(task);
}

void EventLoop::ReadClock() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  now_ns_ = static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ts.tv_nsec);
}

void EventLoop::BeginTurn() {
  turn_begun_ = true;
  if (turn_hook_) turn_hook_();
}

void EventLoop::EndTurn() {
  if (!soon_.empty()) {
    BeginCallback();
    running_.swap(soon_);
    for (Task*& task : running_) {
      if (task != nullptr) task->list_ = &running_;
    }
    for (size_t i = 0; i < running_.size(); ++i) {
      Task* task = running_[i];
      if (task == nullptr) continue;
      task->list_ = nullptr;
      running_[i] = nullptr;
      task->callback_(task->arg_);
    }
    running_.clear();
  }
  // A destructor may retire something else.
  while (!retired_.empty()) {
    dying_.swap(retired_);
    dying_.clear();
  }
  turn_begun_ = false;
  now_ns_ = 0;
}

}  // namespace ub
