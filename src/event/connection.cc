#include "event/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>

namespace ub {
namespace {

// Stands in where the real one has let go.
class Nobody final : public ConnectionHandler {
 public:
  void OnConnected(int) override {}
  void OnReadable() override {}
  void OnWritable() override {}
  void OnDeadline() override {}
};

Nobody nobody;

}  // namespace

Connection::Connection(EventLoop* loop, UniqueFd fd, Transport* transport, ConnectionHandler* handler)
    : loop_(loop),
      handler_(handler),
      transport_(transport),
      fd_(std::move(fd)),
      unsent_(&loop->buffers()),
      timer_(&loop->timers(), &Connection::OnTimer, this),
      read_soon_(&Connection::OnReadSoon, this) {}

Connection::~Connection() {
  // libevent must forget the descriptor before its number can be used again.
  watcher_.Unwatch();
}

Status Connection::Start() {
  return watcher_.Watch(loop_, fd_.get(),
                        FdWatcher::kRead | FdWatcher::kWrite | FdWatcher::kClosed | FdWatcher::kEdge,
                        &Connection::OnEvent, this);
}

void Connection::Retire(std::unique_ptr<Connection> connection) {
  connection->handler_ = &nobody;
  connection->timer_.Cancel();
  connection->read_soon_.Cancel();
  connection->watcher_.Unwatch();
  connection->readable_ = false;
  connection->unsent_.Clear();
  connection->fd_.Reset();
  EventLoop* loop = connection->loop_;
  loop->Retire(std::move(connection));
}

Result<std::unique_ptr<Connection>> Connection::Connect(EventLoop* loop, const sockaddr* address, socklen_t bytes,
                                                        ConnectionHandler* handler, bool* connected) {
  UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    const bool full = errno == EMFILE || errno == ENFILE;
    return Fail(Status(full ? StatusCode::kExhausted : StatusCode::kSystem, StatusSource::kProxy,
                       full ? "out of file descriptors" : Status::System("socket", errno).detail()));
  }
  if (address->sa_family != AF_UNIX) {
    const int one = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  *connected = connect(fd.get(), address, bytes) == 0;
  // A unix socket whose queue is full says EAGAIN and would never tell when there is room: a refusal.
  if (!*connected && errno != EINPROGRESS) {
    const bool full = errno == EADDRNOTAVAIL;
    return Fail(Status(full ? StatusCode::kExhausted : StatusCode::kRefused,
                       full ? StatusSource::kProxy : StatusSource::kBackend,
                       Status::System("connect", errno).detail(), true));
  }
  auto connection = std::make_unique<Connection>(loop, std::move(fd), PlainTransport(), handler);
  connection->connecting_ = !*connected;
  Status status = connection->Start();
  if (!status.ok()) return Fail(std::move(status));
  return connection;
}

void Connection::OnEvent(void* self, unsigned what) { static_cast<Connection*>(self)->HandleEvent(what); }
void Connection::OnTimer(void* self) { static_cast<Connection*>(self)->handler_->OnDeadline(); }
void Connection::OnReadSoon(void* self) { static_cast<Connection*>(self)->handler_->OnReadable(); }

void Connection::HandleEvent(unsigned what) {
  if (what & FdWatcher::kClosed) {
    peer_ended_ = true;
    readable_ = true;
  }
  if (what & FdWatcher::kRead) readable_ = true;
  if (connecting_) {
    connecting_ = false;
    int error = 0;
    socklen_t bytes = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    handler_->OnConnected(error);
    if (error != 0) return;
    // On: what was written early, and what the peer sent together with its answer, have no edge of their own.
  }
  // Handlers never destroy the connection within a callback, only retire it; a retired one has a handler that ignores.
  if ((what & FdWatcher::kWrite) && !unsent_.empty() && Flush() && unsent_.empty()) handler_->OnWritable();
  if (readable_) handler_->OnReadable();
}

IoResult Connection::Read(char* data, size_t capacity) {
  if (!readable_) return {IoState::kWouldBlock, 0, 0};
  const IoResult result = transport_->Read(fd_.get(), data, capacity);
  if (result.state == IoState::kWouldBlock) {
    readable_ = false;
  } else if (result.state == IoState::kOk && result.bytes < capacity && !peer_ended_ &&
             transport_->short_read_means_empty()) {
    // What comes from now on, the end included, is a new edge.
    readable_ = false;
  }
  return result;
}

bool Connection::Write(std::string_view bytes) {
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  return Write(std::span<const iovec>(&piece, 1));
}

bool Connection::Write(std::span<const iovec> pieces) {
  if (write_error_ != 0) return false;
  if (!unsent_.empty() || connecting_) {
    Keep(pieces, 0);
    return true;
  }
  const IoResult result = transport_->Write(fd_.get(), pieces.data(), static_cast<int>(pieces.size()), false);
  if (result.state == IoState::kError) {
    write_error_ = result.error;
    readable_ = true;
    ReadSoon();
    return false;
  }
  sent_bytes_ += result.bytes;
  Keep(pieces, result.bytes);
  return true;
}

void Connection::Keep(std::span<const iovec> pieces, size_t skip) {
  for (const iovec& piece : pieces) {
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    unsent_.Append({static_cast<const char*>(piece.iov_base) + skip, piece.iov_len - skip});
    skip = 0;
  }
}

bool Connection::Flush() {
  while (!unsent_.empty()) {
    const iovec piece{unsent_.data(), unsent_.size()};
    const IoResult result = transport_->Write(fd_.get(), &piece, 1, false);
    if (result.state == IoState::kWouldBlock) return true;
    if (result.state == IoState::kError) {
      // The owner learns it from its next write, or from the read that fails with the same cause.
      write_error_ = result.error;
      unsent_.Clear();
      readable_ = true;
      return false;
    }
    sent_bytes_ += result.bytes;
    unsent_.Consume(result.bytes);
  }
  if (shutdown_wanted_) transport_->ShutdownWrite(fd_.get());
  return true;
}

int Connection::PendingError() const {
  if (write_error_ != 0) return write_error_;
  int error = 0;
  socklen_t bytes = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
  return error;
}

void Connection::ShutdownWrite() {
  if (unsent_.empty()) {
    transport_->ShutdownWrite(fd_.get());
  } else {
    shutdown_wanted_ = true;
  }
}

void Connection::ResetOnClose() {
  const linger hard{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

}  // namespace ub
