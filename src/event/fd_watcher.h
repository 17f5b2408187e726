// One descriptor's registration with the loop: registered once, persistent; the only wrapper of libevent's event.
//
// Holds nothing but the event: no allocation. Must be unwatched (or destroyed) before its loop.
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

  // Has `callback(arg, what)` called. Errors: kExhausted, kSystem (epoll_ctl refused the descriptor).
  template <Callback callback>
  Status Watch(EventLoop* loop, int fd, unsigned what, void* arg) {
    return Add(loop, fd, what, &FdWatcher::OnEvent<callback>, arg);
  }
  void Unwatch();
  bool watching() const;

 private:
  static constexpr size_t kEventBytes = 128;
  using EventCallback = void (*)(int fd, short what, void* arg);

  // One a callback, so that neither it nor the loop takes memory in each watcher.
  template <Callback callback>
  static void OnEvent(int, short what, void* arg) {
    callback(arg, Begin(what));
  }
  // A callback begins: tells the loop that runs; the bits of What.
  static unsigned Begin(short what);
  Status Add(EventLoop* loop, int fd, unsigned what, EventCallback callback, void* arg);

  alignas(8) char event_[kEventBytes] = {};  // all zero: none
};

}  // namespace ub

#endif  // UB_EVENT_FD_WATCHER_H_
