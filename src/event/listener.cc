#include "event/listener.h"

#include <cerrno>

#include "core/log.h"

namespace ub {

Listener::Listener(EventLoop* loop, int fd, ListenerHandler* handler)
    : loop_(loop), fd_(fd), handler_(handler), resume_(loop, &Listener::OnResume, this) {}

Status Listener::Start() { return watcher_.Watch<&Listener::OnReady>(loop_, fd_, FdWatcher::kRead, this); }

void Listener::OnReady(void* self, unsigned) {
  auto* listener = static_cast<Listener*>(self);
  for (int i = 0; i < kBatch && listener->AcceptOne(false); ++i) {
  }
}

void Listener::OnResume(void* self) {
  auto* listener = static_cast<Listener*>(self);
  listener->paused_ = false;
  if (Status status = listener->Start(); !status.ok()) listener->Pause();
}

void Listener::Drain() {
  resume_.Cancel();
  watcher_.Unwatch();
  paused_ = true;  // a pause in here must not start it again
  while (AcceptOne(true)) {
  }
  resume_.Cancel();
}

void Listener::Pause() {
  if (paused_) return;
  paused_ = true;
  watcher_.Unwatch();
  resume_.Set(loop_->now_ns() + kPauseNs);
}

bool Listener::AcceptOne(bool beyond) {
  if (!handler_->TakePlace(beyond)) {
    Pause();
    return false;
  }
  sockaddr_storage peer{};
  socklen_t bytes = sizeof peer;
  UniqueFd fd(accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.valid()) {
    handler_->OnAccept(std::move(fd), peer, *this);
    return true;
  }
  const int error = errno;
  handler_->GiveBackPlace();
  switch (error) {
    case EAGAIN:
      return false;
    // Of that one connection (accept(2)): it is gone, go on.
    case ECONNABORTED:
    case EINTR:
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:  // descriptors or memory have run out, or the socket cannot accept at all
      // It may pause a hundred times a second for as long as there are none.
      if (loop_->now_ns() - warned_ns_ >= kWarnNs) {
        warned_ns_ = loop_->now_ns();
        Log(LogLevel::kWarn, "accept paused: {}", Status::System("accept", error).detail());
      }
      Pause();
      return false;
  }
}

}  // namespace ub
