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
    : LoopClient(loop), handler_(handler), transport_(transport), fd_(std::move(fd)) {
  static_assert(sizeof(Connection) <= 192);
}

Connection::~Connection() {
  // libevent must forget the descriptor before its number can be used again.
  watcher_.Unwatch();
  DropUnsent();
  if (own_transport_) delete transport_;
}

Status Connection::Start() {
  constexpr unsigned kAll = FdWatcher::kRead | FdWatcher::kWrite | FdWatcher::kClosed | FdWatcher::kEdge;
  return watcher_.Watch<&Connection::OnEvent>(loop(), fd_.get(), kAll, this);
}

void Connection::Retire(std::unique_ptr<Connection> connection) {
  // A stream that is cut must not look as if it had ended.
  const bool whole = connection->phase_ == Phase::kOpen && !connection->congested() &&
                     connection->write_error_ == 0 && !connection->reset_on_close_;
  if (whole && connection->own_transport_) connection->transport_->Farewell(connection->fd_.get());
  connection->handler_ = &nobody;
  connection->CancelTimer();
  connection->CancelSoon();
  connection->watcher_.Unwatch();
  connection->readable_ = false;
  connection->DropUnsent();
  connection->shutdown_wanted_ = false;
  connection->fd_.Reset();
  EventLoop* loop = connection->loop();
  loop->Retire(std::move(connection));
}

Result<std::unique_ptr<Connection>> Connection::Connect(EventLoop* loop, const sockaddr* address, socklen_t bytes,
                                                        ConnectionHandler* handler, bool* connected,
                                                        std::unique_ptr<Transport> transport) {
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
  const bool there = *connected;
  if (transport != nullptr) {
    connection->Secure(std::move(transport));
    *connected = false;
  }
  if (!there) connection->phase_ = Phase::kConnecting;
  Status status = connection->Start();
  if (!status.ok()) return Fail(std::move(status));
  return connection;
}

void Connection::Secure(std::unique_ptr<Transport> transport) {
  if (own_transport_) delete transport_;
  transport_ = transport.release();
  own_transport_ = true;
  phase_ = Phase::kHandshake;
  // What has come already makes no edge.
  if (watcher_.watching()) ReadSoon();
}

void Connection::OnEvent(void* self, unsigned what) { static_cast<Connection*>(self)->HandleEvent(what); }
void Connection::OnSoon() {
  if (phase_ == Phase::kOpen) {
    handler_->OnReadable();
  } else {
    HandleEvent(0);
  }
}

void Connection::HandleEvent(unsigned what) {
  if (what & FdWatcher::kClosed) {
    peer_ended_ = true;
    readable_ = true;
  }
  if (what & FdWatcher::kRead) readable_ = true;
  bool flush = (what & FdWatcher::kWrite) != 0;
  if (phase_ != Phase::kOpen) {
    if (!Open()) return;
    // What was written early, and what the peer sent together with its answer, have no edge of their own.
    flush = true;
  } else if (own_transport_) {
    flush |= transport_->write_wants_read();
    if (flush && transport_->read_wants_write()) readable_ = true;
  }
  // Handlers never destroy the connection within a callback, only retire it; a retired one has a handler that ignores.
  if (flush && congested()) {
    if (Flush() && !congested()) handler_->OnWritable();
  } else if (flush && shutdown_wanted_) {
    EndWriting();
  }
  if (readable_) handler_->OnReadable();
}

bool Connection::Open() {
  int error = 0;
  if (phase_ == Phase::kConnecting) {
    socklen_t bytes = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    phase_ = own_transport_ ? Phase::kHandshake : Phase::kOpen;
  }
  if (phase_ == Phase::kHandshake && error == 0) {
    const IoResult result = transport_->Handshake(fd_.get());
    if (result.state == IoState::kWouldBlock) return false;
    if (result.state != IoState::kOk) error = result.error;
    readable_ = true;
  }
  phase_ = Phase::kOpen;
  write_error_ = static_cast<int16_t>(error);
  handler_->OnConnected(error);
  return error == 0;
}

IoResult Connection::Read(char* data, size_t capacity) {
  if (!readable_ || phase_ != Phase::kOpen) return {IoState::kWouldBlock, 0, 0};
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
  if (congested() || phase_ != Phase::kOpen) {
    Keep(pieces, 0);
    return true;
  }
  const IoResult result = transport_->Write(fd_.get(), pieces.data(), static_cast<int>(pieces.size()));
  if (result.state == IoState::kError) {
    write_error_ = static_cast<int16_t>(result.error);
    readable_ = true;
    ReadSoon();
    return false;
  }
  sent_bytes_ += static_cast<uint32_t>(result.bytes);
  Keep(pieces, result.bytes);
  return true;
}

void Connection::Keep(std::span<const iovec> pieces, size_t skip) {
  for (const iovec& piece : pieces) {
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    if (unsent_ == nullptr) unsent_ = loop()->spare_buffers().Take(&loop()->buffers());
    unsent_->Append({static_cast<const char*>(piece.iov_base) + skip, piece.iov_len - skip});
    skip = 0;
  }
}

bool Connection::Flush() {
  while (congested()) {
    const iovec piece{unsent_->data(), unsent_->size()};
    const IoResult result = transport_->Write(fd_.get(), &piece, 1);
    if (result.state == IoState::kWouldBlock) return true;
    if (result.state == IoState::kError) {
      // The owner learns it from its next write, or from the read that fails with the same cause.
      write_error_ = static_cast<int16_t>(result.error);
      DropUnsent();
      readable_ = true;
      return false;
    }
    sent_bytes_ += static_cast<uint32_t>(result.bytes);
    unsent_->Consume(result.bytes);
    if (unsent_->empty()) DropUnsent();
  }
  if (shutdown_wanted_) EndWriting();
  return true;
}

void Connection::DropUnsent() {
  if (unsent_ == nullptr) return;
  unsent_->Clear();
  loop()->spare_buffers().Give(std::move(unsent_));
}

void Connection::EndWriting() { shutdown_wanted_ = !transport_->ShutdownWrite(fd_.get()); }

int Connection::PendingError() const {
  return write_error_ != 0 ? write_error_ : transport_->PendingError(fd_.get());
}

void Connection::ShutdownWrite() {
  shutdown_wanted_ = true;
  if (!congested() && phase_ == Phase::kOpen) EndWriting();
}

void Connection::ResetOnClose() {
  reset_on_close_ = true;
  const linger hard{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

}  // namespace ub
