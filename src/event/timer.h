// Lazy deadlines. Moving a deadline later writes one field; the heap is touched when the earliest entry fires, or when
// a deadline moves to before the time that its entry stands at. All timers of a loop share one libevent timeout.
//
// Resolution: a millisecond, never early. Worker and controller. 32 bytes a timer; set: O(1) later, O(log n) earlier.
#ifndef UB_EVENT_TIMER_H_
#define UB_EVENT_TIMER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

struct event;

namespace ub {

class EventLoop;
class TimerQueue;

class Timer {
 public:
  using Callback = void (*)(void* arg);
  Timer(TimerQueue* queue, Callback callback, void* arg) : queue_(queue), callback_(callback), arg_(arg) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Fires once at `deadline_ns` of the loop's clock; a later call replaces it.
  void Set(uint64_t deadline_ns);
  void Cancel() { deadline_ns_ = 0; }
  bool active() const { return deadline_ns_ != 0; }
  uint64_t deadline_ns() const { return deadline_ns_; }

 private:
  friend class TimerQueue;
  TimerQueue* queue_;
  Callback callback_;
  void* arg_;
  uint64_t deadline_ns_ = 0;
  uint32_t place_ = UINT32_MAX;  // in the heap
};

class TimerQueue {
 public:
  explicit TimerQueue(EventLoop* loop) : loop_(loop) {}
  void Start();
  void Close();

 private:
  friend class Timer;
  struct Entry {
    uint64_t at_ns;
    Timer* timer;
  };
  static void OnTimeout(int, short, void* self);
  void Arm(Timer* timer);
  void Remove(Timer* timer);
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
