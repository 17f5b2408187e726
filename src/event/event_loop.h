// One thread's event loop over libevent, with what every connection of that loop shares: the clock, the timers,
// the buffer pool and the scratch memory that reads go to first.
//
// Worker and controller, one a process. Everything that registers with a loop must die before it.
#ifndef UB_EVENT_EVENT_LOOP_H_
#define UB_EVENT_EVENT_LOOP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/object_pool.h"
#include "core/status.h"
#include "event/buffer.h"
#include "event/timer.h"

struct event_base;

namespace ub {

// A function to be called at the end of a turn, for owners that are no LoopClient themselves or need several.
class Task final : public LoopClient {
 public:
  using Callback = void (*)(void* arg);
  Task(EventLoop* loop, Callback callback, void* arg) : LoopClient(loop), callback_(callback), arg_(arg) {}
  bool pending() const { return soon(); }
  void Cancel() { CancelSoon(); }

 private:
  void OnSoon() override { callback_(arg_); }

  const Callback callback_;
  void* const arg_;
};

class EventLoop {
 public:
  // Reads of one event go here first, so that a connection without unfinished input holds no buffer. Also the largest
  // piece of a body that is moved at once: a slow reader has up to that much kept for it. docs/tuning.md has what
  // other sizes cost.
  static constexpr size_t kScratchBytes = 128 * 1024;

  static Result<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until Stop().
  void Run();
  void Stop() { stopped_ = true; }

  // CLOCK_MONOTONIC nanoseconds, read at most once a turn.
  uint64_t now_ns() {
    if (now_ns_ == 0) ReadClock();
    return now_ns_;
  }

  TimerQueue& timers() { return timers_; }
  BufferPool& buffers() { return buffers_; }
  // Empty Buffer objects, for who needs one now and then and would be large with one of its own.
  ObjectPool<Buffer>& spare_buffers() { return spare_buffers_; }
  // Valid within one callback: whoever calls out must have finished with it.
  std::span<char> scratch() { return {scratch_.get(), kScratchBytes}; }

  // Deletes `object` at the end of this turn: no callback dies inside itself.
  void Retire(std::unique_ptr<Retirable> object) { retired_.push_back(std::move(object)); }
  // Calls OnSoon at the end of this turn (or of the next, where it was asked for by such a call), once, and keeps that
  // turn from waiting.
  void RunSoon(LoopClient* client);
  // Called at the start of each turn that has work, after the wait (workers look at the shared table's version).
  void set_turn_hook(std::function<void()> hook) { turn_hook_ = std::move(hook); }

  event_base* base() { return base_; }
  // The loop that runs in this thread, null outside of Run.
  static EventLoop* Running() { return running_loop_; }
  // What FdWatcher and TimerQueue call before the first callback of a turn.
  void BeginCallback() {
    if (!turn_begun_) BeginTurn();
  }

 private:
  friend class LoopClient;

  explicit EventLoop(event_base* base);
  void ReadClock();
  void BeginTurn();
  void EndTurn();

  static thread_local EventLoop* running_loop_;

  event_base* base_;
  bool stopped_ = false;
  bool turn_begun_ = false;
  uint64_t now_ns_ = 0;
  BufferPool buffers_;
  ObjectPool<Buffer> spare_buffers_{256};
  TimerQueue timers_;
  std::unique_ptr<char[]> scratch_;
  std::vector<std::unique_ptr<Retirable>> retired_, dying_;
  std::vector<LoopClient*> soon_, running_;  // null: cancelled
  std::function<void()> turn_hook_;
};

}  // namespace ub

#endif  // UB_EVENT_EVENT_LOOP_H_
