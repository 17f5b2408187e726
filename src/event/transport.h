// How bytes get on and off a descriptor. Plain sockets have one shared, stateless transport; TLS will be an object a
// connection. `connection` does I/O only through this.
#ifndef UB_EVENT_TRANSPORT_H_
#define UB_EVENT_TRANSPORT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace ub {

enum class IoState : uint8_t { kOk, kWouldBlock, kEof, kError };

struct IoResult {
  IoState state = IoState::kOk;
  int error = 0;     // errno with kError
  size_t bytes = 0;  // with kOk
};

class Transport {
 public:
  virtual ~Transport() = default;
  // At most `capacity` bytes into `data`. One system call.
  virtual IoResult Read(int fd, char* data, size_t capacity) = 0;
  // As much as the descriptor takes of `pieces`, in order. `more`: other bytes follow soon, do not push.
  virtual IoResult Write(int fd, const iovec* pieces, int count, bool more) = 0;
  // Ends the sending direction.
  virtual void ShutdownWrite(int fd) = 0;
  // A read that gave less than was asked for has emptied the socket: no second read is needed to learn it.
  virtual bool short_read_means_empty() const = 0;
  // Bodies may go kernel to kernel between two of these.
  virtual bool can_splice() const = 0;
};

// The transport of TCP and unix sockets; shared, stateless, lives for ever.
Transport* PlainTransport();

}  // namespace ub

#endif  // UB_EVENT_TRANSPORT_H_
