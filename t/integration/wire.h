// Sockets as the tests use them: every call has a deadline, and none hides how a connection ended.
#ifndef UB_INTEGRATION_WIRE_H_
#define UB_INTEGRATION_WIRE_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/unique_fd.h"
#include "support.h"

namespace ub::itest {

struct Endpoint {
  static Endpoint V4(uint16_t port) { return {AF_INET, "127.0.0.1", port}; }
  static Endpoint V6(uint16_t port) { return {AF_INET6, "::1", port}; }
  static Endpoint Unix(std::string path) { return {AF_UNIX, std::move(path), 0}; }

  int family = AF_INET;
  std::string host;  // or the path
  uint16_t port = 0;

  std::string Text() const;  // "127.0.0.1:80", "[::1]:80", "unix:/path"
};

// Listens there (port 0: any free one); throws where it cannot. `receive_buffer` 0: the system's
// default.
UniqueFd ListenAt(const Endpoint& endpoint, int backlog, int receive_buffer = 0);
uint16_t LocalPort(int fd);
// A port of 127.0.0.1 and [::1] that was free a moment ago.
uint16_t FreePort();

enum class Io { kOk, kEnd, kReset, kTimeout, kStopped };

class Socket {
 public:
  Socket() = default;
  // Where `stop_fd` is readable every wait ends with kStopped; it is not owned.
  explicit Socket(UniqueFd fd, int stop_fd = -1);

  // Not valid() where the connection was refused or the deadline passed.
  static Socket Connect(const Endpoint& to, Millis limit = kLimit, int receive_buffer = 0);

  bool valid() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }

  Io Send(std::string_view bytes, Millis limit = kLimit);
  // Sends what fits at once; the number of bytes, 0 where nothing fits now.
  size_t SendSome(std::string_view bytes);
  // Appends at most `most` bytes.
  Io Receive(std::string* to, size_t most = 64 * 1024, Millis limit = kLimit);
  // Waits until the peer ends or resets the connection; what it sends meanwhile is dropped.
  Io WaitClosed(Millis limit = kLimit);
  // True where bytes or an end are there to be read now.
  bool Readable(Millis limit = Millis(0));

  void ShutdownWrite();
  void Close() { fd_.Reset(); }
  void Reset();  // closes with RST

 private:
  Io Wait(short events, const Deadline& deadline);

  UniqueFd fd_;
  int stop_fd_ = -1;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_WIRE_H_
