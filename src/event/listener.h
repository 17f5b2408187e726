// Accepts from one listening socket, in batches. Does not own the descriptor: sockets belong to the worker's set.
//
// Level-triggered: a batch is bounded and the rest comes in the next turn. When descriptors run out it pauses instead
// of spinning and tries again after kPauseNs. Worker and controller.
#ifndef UB_EVENT_LISTENER_H_
#define UB_EVENT_LISTENER_H_

#include <sys/socket.h>

#include <cstdint>

#include "core/unique_fd.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"

namespace ub {

class Listener;

class ListenerHandler {
 public:
  virtual ~ListenerHandler() = default;
  // Takes a place for one more client. False: a limit is reached; the listener pauses and asks again after kPauseNs.
  // `beyond`: above the limit too, since whom it is for would be lost (Drain).
  virtual bool TakePlace(bool beyond) = 0;
  // The place was not needed.
  virtual void GiveBackPlace() = 0;
  // A new client, in the place that was taken.
  virtual void OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& listener) = 0;
};

class Listener {
 public:
  static constexpr int kBatch = 64;
  static constexpr uint64_t kPauseNs = 10'000'000;
  static constexpr uint64_t kWarnNs = 1'000'000'000;

  Listener(EventLoop* loop, int fd, ListenerHandler* handler);
  Status Start();
  // Accepts until the queue is empty, then stops for good: before a listening socket is closed.
  void Drain();
  int fd() const { return fd_; }
  // Whether clients speak TLS here; the listener itself makes no difference.
  bool tls() const { return tls_; }
  // And whether they may speak HTTP/2 without it.
  bool h2c() const { return h2c_; }
  void set_protocols(bool tls, bool h2c) {
    tls_ = tls;
    h2c_ = h2c;
  }

 private:
  static void OnReady(void* self, unsigned what);
  static void OnResume(void* self);
  // False: the queue is empty, or accepting must pause.
  bool AcceptOne(bool beyond);
  void Pause();

  EventLoop* loop_;
  int fd_;
  ListenerHandler* handler_;
  FdWatcher watcher_;
  Timer resume_;
  bool paused_ = false;
  bool tls_ = false, h2c_ = false;
  uint64_t warned_ns_ = 0;
};

}  // namespace ub

#endif  // UB_EVENT_LISTENER_H_
