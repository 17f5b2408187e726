// One socket: edge-triggered, registered once, written at once and only then waited for.
//
// Readiness is remembered: the kernel tells of an edge, the owner reads when it wants to (not reading is back-pressure)
// until the socket is empty. Unsent bytes are kept in a pooled buffer; the owner stops producing while congested().
// Owned by unique_ptr; must not die inside its own callback: give it to EventLoop::Retire. Worker and controller.
#ifndef UB_EVENT_CONNECTION_H_
#define UB_EVENT_CONNECTION_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>

#include "core/status.h"
#include "core/unique_fd.h"
#include "event/buffer.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"
#include "event/transport.h"

namespace ub {

class ConnectionHandler : public Retirable {
 public:
  // A connect that was under way has ended, with the handshake where there is one; `error` is 0 or its errno, and
  // FailureText may say more.
  virtual void OnConnected(int error) = 0;
  // Bytes, the end of the stream or an error wait to be read (an edge: read until kWouldBlock, or come back by
  // readable()).
  virtual void OnReadable() = 0;
  // What was congested has all been sent.
  virtual void OnWritable() = 0;
  // The deadline set by SetDeadline passed.
  virtual void OnDeadline() = 0;
};

class Connection final : public LoopClient {
 public:
  // Takes a connected, non-blocking socket.
  Connection(EventLoop* loop, UniqueFd fd, Transport* transport, ConnectionHandler* handler);
  ~Connection() override;

  // Opens a socket to `address`. *connected: it is there already and OnConnected will not be called.
  // `transport`: what it is to speak, null: nothing but TCP. Errors: kRefused, kExhausted, kSystem, retryable ones marked
  // so.
  static Result<std::unique_ptr<Connection>> Connect(EventLoop* loop, const sockaddr* address, socklen_t bytes,
                                                     ConnectionHandler* handler, bool* connected,
                                                     std::unique_ptr<Transport> transport = nullptr);
  // From here on it speaks by `transport`, once the handshake is over: until OnConnected nothing is readable, and what is
  // written waits. Before or after Start.
  void Secure(std::unique_ptr<Transport> transport);
  // Registers with the loop. Once.
  Status Start();
  // Closes the socket now and has the object deleted at the end of the turn; no handler is called any more.
  static void Retire(std::unique_ptr<Connection> connection);

  // The new owner is not called for what the one before wanted to read soon.
  void set_handler(ConnectionHandler* handler) {
    CancelSoon();
    handler_ = handler;
  }
  int fd() const { return fd_.get(); }
  const Transport& transport() const { return *transport_; }

  // One read. kWouldBlock without a system call where the socket is known to be empty.
  IoResult Read(char* data, size_t capacity);
  // A read may give something now.
  bool readable() const { return readable_; }
  // Has the next Read ask the kernel again. For whoever needs more than a short read gave: an error that came together
  // with those bytes had no edge of its own.
  void LookAgain() { readable_ = true; }
  // The peer has ended its direction, though bytes before that may wait.
  bool peer_ended() const { return peer_ended_; }
  // Have OnReadable called in the next turn, to let others have theirs.
  void ReadSoon() { loop()->RunSoon(this); }

  // Sends the pieces in order; what the socket does not take now is kept. False: the connection is broken (write_error);
  // OnReadable is called at the end of this turn, for what the peer had to say before.
  bool Write(std::span<const iovec> pieces);
  bool Write(std::string_view bytes);
  // Bytes are kept: stop producing until OnWritable.
  bool congested() const { return unsent_ != nullptr; }
  size_t unsent_bytes() const { return unsent_ == nullptr ? 0 : unsent_->size(); }
  int write_error() const { return write_error_; }
  // Whether the peer is gone, or will say no more and nothing waits to be read. One system call.
  bool AtEnd() { return transport_->AtEnd(fd_.get()); }
  // What broke the connection, 0 if nothing: for when the peer has ended its direction and reads tell no more. One system
  // call.
  int PendingError() const;
  // Bytes that the socket took, ever, modulo 2^32: whether a slow reader moves at all, and how much went since a short while.
  uint32_t sent_bytes() const { return sent_bytes_; }

  // Ends the sending direction once everything is sent.
  void ShutdownWrite();
  // Has the close send a reset, so that the peer cannot take a cut stream for a whole one.
  void ResetOnClose();

  // One deadline a connection; see TimerQueue for the cost.
  void SetDeadline(uint64_t deadline_ns) { SetTimer(deadline_ns); }
  void CancelDeadline() { CancelTimer(); }
  bool has_deadline() const { return timer_set(); }

 private:
  enum class Phase : uint8_t { kConnecting, kHandshake, kOpen };
  static void OnEvent(void* self, unsigned what);
  void OnTimer() override { handler_->OnDeadline(); }
  void OnSoon() override;
  void HandleEvent(unsigned what);
  // One step towards kOpen; false where it is not reached.
  bool Open();
  void EndWriting();
  void Keep(std::span<const iovec> pieces, size_t skip);
  bool Flush();
  void DropUnsent();

  // Small fields first: they lie in the base's padding. 192 bytes in all, a size class of jemalloc; docs/tuning.md says
  // why that matters.
  Phase phase_ : 3 = Phase::kOpen;
  bool readable_ : 1 = false;
  bool peer_ended_ : 1 = false;
  bool shutdown_wanted_ : 1 = false;
  bool reset_on_close_ : 1 = false;
  bool own_transport_ : 1 = false;  // *transport_ is this connection's alone, and goes with it
  int16_t write_error_ = 0;
  ConnectionHandler* handler_;
  Transport* transport_;
  std::unique_ptr<Buffer> unsent_;  // from the loop's pool; null: everything is sent
  UniqueFd fd_;
  uint32_t sent_bytes_ = 0;
  FdWatcher watcher_;
};

}  // namespace ub

#endif  // UB_EVENT_CONNECTION_H_
