// What lives on a loop: it may have one deadline, one call at the end of the turn, and be deleted where no callback of it
// can be on the stack.
//
// A base rather than members that call back: thousands of connections lie idle, and each member would carry pointers to
// its owner and to its loop. Must die before its loop. Worker and controller.
#ifndef UB_EVENT_LOOP_CLIENT_H_
#define UB_EVENT_LOOP_CLIENT_H_

#include <cstdint>

namespace ub {

class EventLoop;

// Something to be deleted once no callback of it can be on the stack: see EventLoop::Retire.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

class LoopClient : public Retirable {
 public:
  explicit LoopClient(EventLoop* loop) : loop_(loop) {}
  ~LoopClient() override;
  LoopClient(const LoopClient&) = delete;
  LoopClient& operator=(const LoopClient&) = delete;

  EventLoop* loop() const { return loop_; }

 protected:
  // Has OnTimer called once at `deadline_ns` of the loop's clock, to the kernel's tick and never early; a later call
  // replaces it. See TimerQueue for the cost.
  void SetTimer(uint64_t deadline_ns);
  void CancelTimer() { deadline_ns_ = 0; }
  bool timer_set() const { return deadline_ns_ != 0; }
  uint64_t timer_ns() const { return deadline_ns_; }

  // OnSoon is to come: see EventLoop::RunSoon.
  bool soon() const { return soon_ != Soon::kNo; }
  void CancelSoon();

 private:
  friend class EventLoop;
  friend class TimerQueue;
  enum class Soon : uint8_t { kNo, kListed, kRunning };  // where it stands, if anywhere

  virtual void OnTimer() {}
  virtual void OnSoon() {}

  EventLoop* const loop_;
  uint64_t deadline_ns_ = 0;
  uint32_t place_ = UINT32_MAX;  // in the timers' heap
  Soon soon_ = Soon::kNo;
};

}  // namespace ub

#endif  // UB_EVENT_LOOP_CLIENT_H_
