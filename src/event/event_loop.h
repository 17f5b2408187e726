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

#include "core/status.h"
#include "event/buffer.h"
#include "event/timer.h"

struct event_base;

namespace ub {

// Something to be deleted once no callback of it can be on the stack: see EventLoop::Retire.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

// Work for the next turn; the owner keeps it alive or cancels it.
class Task {
 public:
  using Callback = void (*)(void* arg);
  Task(Callback callback, void* arg) : callback_(callback), arg_(arg) {}
  ~Task() { Cancel(); }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  bool pending() const { return list_ != nullptr; }
  void Cancel();

 private:
  friend class EventLoop;
  Callback callback_;
  void* arg_;
  std::vector<Task*>* list_ = nullptr;  // where it waits
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
  // Valid within one callback: whoever calls out must have finished with it.
  std::span<char> scratch() { return {scratch_.get(), kScratchBytes}; }

  // Deletes `object` at the end of this turn: no callback dies inside itself.
  void Retire(std::unique_ptr<Retirable> object) { retired_.push_back(std::move(object)); }
  // Calls the task at the end of this turn (or of the next, where it was asked for by such a task), once, and keeps
  // that turn from waiting.
  void RunSoon(Task* task);
  // Called at the start of each turn that has work, after the wait (workers look at the shared table's version).
  void set_turn_hook(std::function<void()> hook) { turn_hook_ = std::move(hook); }

  event_base* base() { return base_; }
  // What FdWatcher and TimerQueue call before the first callback of a turn.
  void BeginCallback() {
    if (!turn_begun_) BeginTurn();
  }

 private:
  explicit EventLoop(event_base* base);
  void ReadClock();
  void BeginTurn();
  void EndTurn();

  event_base* base_;
  bool stopped_ = false;
  bool turn_begun_ = false;
  uint64_t now_ns_ = 0;
  BufferPool buffers_;
  TimerQueue timers_;
  std::unique_ptr<char[]> scratch_;
  std::vector<std::unique_ptr<Retirable>> retired_, dying_;
  std::vector<Task*> soon_, running_;
  std::function<void()> turn_hook_;
};

}  // namespace ub

#endif  // UB_EVENT_EVENT_LOOP_H_
