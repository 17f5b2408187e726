// Requests that wait because every backend that could serve them is full: first come, first served, bounded by
// queue.max_requests and queue.timeout_ms.
//
// One a worker, single-threaded. The head is looked at when a place comes free in this worker, and every kPollNs for the
// places that other workers free: their memory says so, nobody signals it. Nothing is allocated; an empty queue costs
// nothing.
#ifndef UB_HTTP_REQUEST_QUEUE_H_
#define UB_HTTP_REQUEST_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "core/config.h"
#include "event/event_loop.h"

namespace ub {

class RequestQueue;

// A request that may wait.
class Waiter {
 public:
  enum class Turn : uint8_t {
    kGone,      // it has left the queue (found a place, or was answered)
    kNoPlace,   // there is none for anybody
    kPassOver,  // there is none for this one, which has tried some backends: the next may have its turn
  };
  virtual ~Waiter() = default;
  // It is at the head. Where it goes on it calls Leave first.
  virtual Turn OnQueueTurn() = 0;
  // It has waited queue.timeout_ms and is out of the queue.
  virtual void OnQueueTimeout() = 0;

 private:
  friend class RequestQueue;
  Waiter *before_ = nullptr, *behind_ = nullptr;
  uint64_t deadline_ns_ = 0;
  bool waiting_ = false;
};

class RequestQueue {
 public:
  static constexpr uint64_t kPollNs = 3'000'000;  // of another worker's place we learn within this and a tick

  // `gauge` is kept at size(), for whoever looks from outside.
  RequestQueue(EventLoop* loop, std::atomic<uint32_t>* gauge);

  void Configure(const QueueConfig& config) { config_ = config; }
  // Waits at the end. False: the queue is full or off, and the request must be answered.
  bool Join(Waiter* waiter);
  // Leaves, wherever it stands; no matter where it does not wait.
  void Leave(Waiter* waiter);
  // A place came free in this worker.
  void PlaceFreed() {
    if (head_ != nullptr) loop_->RunSoon(&pump_soon_);
  }
  bool empty() const { return head_ == nullptr; }
  uint32_t size() const { return size_; }

 private:
  static void OnPump(void* self);
  void Pump();
  void ExpireOld();

  EventLoop* const loop_;
  std::atomic<uint32_t>* const gauge_;
  QueueConfig config_;
  Waiter *head_ = nullptr, *tail_ = nullptr;
  uint32_t size_ = 0;
  Timer poll_;
  Task pump_soon_;
};

}  // namespace ub

#endif  // UB_HTTP_REQUEST_QUEUE_H_
