#include <sys/socket.h>

#include <cerrno>

#include "event/transport.h"

namespace ub {
namespace {

IoResult FromErrno() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoState::kWouldBlock, 0, 0};
  return {IoState::kError, errno, 0};
}

class Plain final : public Transport {
 public:
  IoResult Read(int fd, char* data, size_t capacity) override {
    for (;;) {
      const ssize_t n = recv(fd, data, capacity, 0);
      if (n > 0) return {IoState::kOk, 0, static_cast<size_t>(n)};
      if (n == 0) return {IoState::kEof, 0, 0};
      if (errno != EINTR) return FromErrno();
    }
  }

  IoResult Write(int fd, const iovec* pieces, int count) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = static_cast<size_t>(count);
    for (;;) {
      // For one piece the kernel has a shorter way, without a list to fetch.
      const ssize_t n = count == 1 ? send(fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                                   : sendmsg(fd, &message, MSG_NOSIGNAL);
      if (n >= 0) return {IoState::kOk, 0, static_cast<size_t>(n)};
      if (errno != EINTR) return FromErrno();
    }
  }

  bool ShutdownWrite(int fd) override {
    shutdown(fd, SHUT_WR);
    return true;
  }
  bool AtEnd(int fd) override {
    char byte;
    const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
  }
  bool short_read_means_empty() const override { return true; }
  bool plain() const override { return true; }
};

}  // namespace

int Transport::PendingError(int fd) {
  int error = 0;
  socklen_t bytes = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  return error;
}

Transport* PlainTransport() {
  static Plain plain;
  return &plain;
}

}  // namespace ub
