#include "event/fd_watcher.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cerrno>
#include <new>

#include "event/event_loop.h"

namespace ub {

Status FdWatcher::Add(EventLoop* loop, int fd, unsigned what, EventCallback callback, void* arg) {
  static_assert(sizeof(event) <= kEventBytes);
  Unwatch();
  short flags = EV_PERSIST;
  if (what & kRead) flags |= EV_READ;
  if (what & kWrite) flags |= EV_WRITE;
  if (what & kClosed) flags |= EV_CLOSED;
  if (what & kEdge) flags |= EV_ET;
  auto* ev = new (event_) event;
  if (event_assign(ev, loop->base(), fd, flags, callback, arg) != 0 || event_add(ev, nullptr) != 0) {
    const int error = errno;
    ev->ev_base = nullptr;
    return Status::System("cannot watch a descriptor", error);
  }
  return Status::Ok();
}

bool FdWatcher::watching() const { return reinterpret_cast<const event*>(event_)->ev_base != nullptr; }

void FdWatcher::Unwatch() {
  if (!watching()) return;
  auto* ev = reinterpret_cast<event*>(event_);
  event_del(ev);
  ev->ev_base = nullptr;
}

unsigned FdWatcher::Begin(short what) {
  EventLoop::Running()->BeginCallback();
  unsigned bits = 0;
  if (what & EV_READ) bits |= kRead;
  if (what & EV_WRITE) bits |= kWrite;
  if (what & EV_CLOSED) bits |= kClosed;
  return bits;
}

}  // namespace ub
