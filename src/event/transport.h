// How bytes get on and off a descriptor. Plain sockets have one shared, stateless transport; TLS is an object a
// connection (event/tls_transport.cc). `connection` does I/O only through this.
#ifndef UB_EVENT_TRANSPORT_H_
#define UB_EVENT_TRANSPORT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ub {

enum class IoState : uint8_t { kOk, kWouldBlock, kEof, kError };

struct IoResult {
  IoState state = IoState::kOk;
  int error = 0;     // errno with kError
  size_t bytes = 0;  // with kOk
};

// Who the peer proved to be by a certificate.
struct PeerCertificate {
  std::string subject;      // RFC 2253: "CN=client,O=Example"
  std::string fingerprint;  // SHA-256 of the certificate, in hex
  std::string der_base64;   // the certificate itself
};

class Transport {
 public:
  virtual ~Transport() = default;
  // What both sides must agree on before the first byte (TLS). kOk: it is done, or nothing is needed. kWouldBlock: call
  // again at the socket's next edge, of either direction.
  virtual IoResult Handshake(int /*fd*/) { return {}; }
  // At most `capacity` bytes into `data`. One system call in plain text; TLS takes whole records while they last.
  virtual IoResult Read(int fd, char* data, size_t capacity) = 0;
  // As much as the descriptor takes of `pieces`, in order.
  virtual IoResult Write(int fd, const iovec* pieces, int count) = 0;
  // Ends the sending direction. False: call again when the socket takes more.
  virtual bool ShutdownWrite(int fd) = 0;
  // The connection is about to be closed, whole: says so to the peer, where the protocol has a word for it.
  virtual void Farewell(int /*fd*/) {}
  // Whether the peer has ended or broken its direction and nothing before that waits to be read. Takes no bytes.
  virtual bool AtEnd(int fd) = 0;
  // What broke the stream though its end was not read yet, 0 if nothing: an errno. Takes no bytes.
  virtual int PendingError(int fd);
  // The last Read wants the socket to take bytes before it goes on; the last Write wants some to come.
  virtual bool read_wants_write() const { return false; }
  virtual bool write_wants_read() const { return false; }
  // The protocol that the handshake chose (ALPN): "h2"; empty: none.
  virtual std::string_view protocol() const { return {}; }
  // The handshake took up an earlier session.
  virtual bool resumed() const { return false; }
  // Empty subject, fingerprint and all: the peer showed none.
  virtual PeerCertificate certificate() const { return {}; }
  // What went wrong, for a log line; empty where errno says it.
  virtual std::string FailureText() const { return {}; }
  // A read that gave less than was asked for has emptied the socket: no second read is needed to learn it.
  virtual bool short_read_means_empty() const = 0;
  // What the socket holds is what the peer said, and no more.
  virtual bool plain() const = 0;
};

// The transport of TCP and unix sockets; shared, stateless, lives for ever.
Transport* PlainTransport();

}  // namespace ub

#endif  // UB_EVENT_TRANSPORT_H_
