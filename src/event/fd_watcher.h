// One descriptor's registration with the loop: registered once, persistent; the only wrapper of libevent's event.
//
// The event lives inside the object: no allocation. Must be unwatched (or destroyed) before its loop.
#ifndef UB_EVENT_FD_WATCHER_H_
#define UB_EVENT_FD_WATCHER_H_

#include <cstddef>

#include "core/status.h"

namespace ub {

class EventLoop;

class FdWatcher {
 public:
  enum What : unsigned { kRead = 1, kWrite = 2, kClosed = 4, kEdge = 8 };
  // `what`: the bits above that are true. kClosed: the peer has ended its direction (EPOLLRDHUP).
  using Callback = void (*)(void* arg, unsigned what);

  FdWatcher() = default;
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;
  ~FdWatcher() { Unwatch(); }

  // Errors: kExhausted, kSystem (epoll_ctl refused the descriptor).
  Status Watch(EventLoop* loop, int fd, unsigned what, Callback callback, void* arg);
  void Unwatch();
  bool watching() const { return loop_ != nullptr; }

 private:
  static constexpr size_t kEventBytes = 128;
  static void OnEvent(int fd, short what, void* self);

  EventLoop* loop_ = nullptr;
  Callback callback_ = nullptr;
  void* arg_ = nullptr;
  alignas(8) char event_[kEventBytes];
};

}  // namespace ub

#endif  // UB_EVENT_FD_WATCHER_H_
