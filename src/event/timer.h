// Lazy deadlines. Moving a deadline later writes one field; the heap is touched when the earliest entry fires, or when
// a deadline moves to before the time that its entry stands at. All timers of a loop share one libevent timeout.
//
// Resolution: the kernel's tick (1 to 4 ms), never early. Worker and controller. Set: O(1) later, O(log n) earlier.
#ifndef UB_EVENT_TIMER_H_
#define UB_EVENT_TIMER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "event/loop_client.h"

struct event;

namespace ub {

// A deadline that calls a function, for owners that are no LoopClient themselves or need several.
class Timer final : public LoopClient {
 public:
  using Callback = void (*)(void* arg);
  Timer(EventLoop* loop, Callback callback, void* arg) : LoopClient(loop), callback_(callback), arg_(arg) {}

  // Fires once at `deadline_ns` of the loop's clock; a later call replaces it.
  void Set(uint64_t deadline_ns) { SetTimer(deadline_ns); }
  void Cancel() { CancelTimer(); }
  bool active() const { return timer_set(); }
  uint64_t deadline_ns() const { return timer_ns(); }

 private:
  void OnTimer() override { callback_(arg_); }

  const Callback callback_;
  void* const arg_;
};

// The deadlines of a loop's clients: what LoopClient::SetTimer works on. A binary heap by time.
class TimerQueue {
 public:
  explicit TimerQueue(EventLoop* loop) : loop_(loop) {}
  // Once, when the loop has its event base, and before that is freed: no timer fires any more.
  void Start();
  void Close();

 private:
  friend class LoopClient;
  struct Entry {
    uint64_t at_ns;
    LoopClient* client;
  };
  static void OnTimeout(int, short, void* self);
  void Arm(LoopClient* client);
  void Remove(LoopClient* client);
  void Expire();
  void Schedule();
  void Up(size_t i);
  void Down(size_t i);
  void Put(size_t i, Entry entry);

  EventLoop* loop_;
  event* timeout_ = nullptr;
  uint64_t scheduled_ns_ = 0;  // when libevent will wake us; 0: not at all
  std::vector<Entry> heap_;
};

}  // namespace ub

#endif  // UB_EVENT_TIMER_H_
