#include "event/fd_watcher.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cerrno>
#include <new>

#include "event/event_loop.h"

namespace ub {

Status FdWatcher::Watch(EventLoop* loop, int fd, unsigned what, Callback callback, void* arg) {
  static_assert(sizeof(event) <= kEventBytes);
  Unwatch();
  short flags = EV_PERSIST;
  if (what & kRead) flags |= EV_READ;
  if (what & kWrite) flags |= EV_WRITE;
  if (what & kClosed) flags |= EV_CLOSED;
  if (what & kEdge) flags |= EV_ET;
  callback_ = callback;
  arg_ = arg;
  auto* ev = new (event_) event;
  if (event_assign(ev, loop->base(), fd, flags, &FdWatcher::OnEvent, this) != 0 || event_add(ev, nullptr) != 0) {
    return Status::System("cannot watch a descriptor", errno);
  }
  loop_ = loop;
  return Status::Ok();
}

void FdWatcher::Unwatch() {
  if (loop_ == nullptr) return;
  event_del(reinterpret_cast<event*>(event_));
  loop_ = nullptr;
}

void FdWatcher::OnEvent(int, short what, void* self) {
  auto* watcher = static_cast<FdWatcher*>(self);
  watcher->loop_->BeginCallback();
  unsigned bits = 0;
  if (what & EV_READ) bits |= kRead;
  if (what & EV_WRITE) bits |= kWrite;
  if (what & EV_CLOSED) bits |= kClosed;
  watcher->callback_(watcher->arg_, bits);
}

}  // namespace ub
