#include "event/event_loop.h"

#include <event2/event.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace ub {

thread_local EventLoop* EventLoop::running_loop_ = nullptr;

void LoopClient::CancelSoon() {
  if (soon_ == Soon::kNo) return;
  // The place stays, empty: the list may be being walked.
  std::vector<LoopClient*>& list = soon_ == Soon::kListed ? loop_->soon_ : loop_->running_;
  std::replace(list.begin(), list.end(), this, static_cast<LoopClient*>(nullptr));
  soon_ = Soon::kNo;
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
  for (LoopClient* client : soon_) {
    if (client != nullptr) client->soon_ = LoopClient::Soon::kNo;
  }
  soon_.clear();
  turn_hook_ = nullptr;
  EndTurn();
  timers_.Close();
  event_base_free(base_);
}

void EventLoop::Run() {
  stopped_ = false;
  now_ns_ = 0;  // what was read before belongs to no turn
  EventLoop* const outer = std::exchange(running_loop_, this);
  while (!stopped_) {
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    if (!soon_.empty()) flags |= EVLOOP_NONBLOCK;
    event_base_loop(base_, flags);
    EndTurn();
  }
  running_loop_ = outer;
}

void EventLoop::RunSoon(LoopClient* client) {
  if (client->soon()) return;
  client->soon_ = LoopClient::Soon::kListed;
  soon_.push_back(client);
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
    for (LoopClient* client : running_) {
      if (client != nullptr) client->soon_ = LoopClient::Soon::kRunning;
    }
    for (size_t i = 0; i < running_.size(); ++i) {
      LoopClient* client = std::exchange(running_[i], nullptr);
      if (client == nullptr) continue;
      client->soon_ = LoopClient::Soon::kNo;
      client->OnSoon();
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
