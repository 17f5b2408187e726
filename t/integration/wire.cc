#include "wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <stdexcept>

namespace ub::itest {

namespace {

socklen_t ToSockaddr(const Endpoint& endpoint, sockaddr_storage* storage) {
  memset(storage, 0, sizeof(*storage));
  if (endpoint.family == AF_UNIX) {
    auto* address = reinterpret_cast<sockaddr_un*>(storage);
    address->sun_family = AF_UNIX;
    endpoint.host.copy(address->sun_path, sizeof(address->sun_path) - 1);
    return sizeof(*address);
  }
  if (endpoint.family == AF_INET6) {
    auto* address = reinterpret_cast<sockaddr_in6*>(storage);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(endpoint.port);
    inet_pton(AF_INET6, endpoint.host.c_str(), &address->sin6_addr);
    return sizeof(*address);
  }
  auto* address = reinterpret_cast<sockaddr_in*>(storage);
  address->sin_family = AF_INET;
  address->sin_port = htons(endpoint.port);
  inet_pton(AF_INET, endpoint.host.c_str(), &address->sin_addr);
  return sizeof(*address);
}

bool TryBind(const Endpoint& endpoint) {
  const UniqueFd fd(socket(endpoint.family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address;
  const socklen_t bytes = ToSockaddr(endpoint, &address);
  return bind(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes) == 0;
}

}  // namespace

std::string Endpoint::Text() const {
  if (family == AF_UNIX) return "unix:" + host;
  return (family == AF_INET6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

UniqueFd ListenAt(const Endpoint& endpoint, int backlog, int receive_buffer) {
  UniqueFd fd(socket(endpoint.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (receive_buffer > 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  sockaddr_storage address;
  const socklen_t bytes = ToSockaddr(endpoint, &address);
  if (endpoint.family == AF_UNIX) unlink(endpoint.host.c_str());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
      listen(fd.get(), backlog) != 0) {
    throw std::runtime_error("cannot listen at " + endpoint.Text() + ": " + strerror(errno));
  }
  if (endpoint.family == AF_UNIX) chmod(endpoint.host.c_str(), 0777);
  return fd;
}

uint16_t LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes);
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  }
  return 0;
}

uint16_t FreePort() {
  static std::mutex mutex;
  static std::set<uint16_t> given;  // nobody may have listened there yet
  const std::lock_guard lock(mutex);
  for (int i = 0; i < 1000; ++i) {
    uint16_t port = 0;
    {
      const UniqueFd fd = ListenAt(Endpoint::V4(0), 1);
      port = LocalPort(fd.get());
    }
    if (TryBind(Endpoint::V6(port)) && given.insert(port).second) return port;
  }
  throw std::runtime_error("no free port");
}

Socket::Socket(UniqueFd fd, int stop_fd) : fd_(std::move(fd)), stop_fd_(stop_fd) {
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
  const int on = 1;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on,
             sizeof(on));  // fails on unix sockets: harmless
}

Socket Socket::Connect(const Endpoint& to, Millis limit, int receive_buffer) {
  const Deadline deadline(limit);
  UniqueFd fd(socket(to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (receive_buffer > 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  sockaddr_storage address;
  const socklen_t bytes = ToSockaddr(to, &address);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes) != 0) {
    if (errno != EINPROGRESS) return Socket();
    pollfd wait{fd.get(), POLLOUT, 0};
    if (poll(&wait, 1, deadline.PollMs()) != 1) return Socket();
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Socket();
  }
  return Socket(std::move(fd));
}

Io Socket::Wait(short events, const Deadline& deadline) {
  pollfd waits[2] = {{fd_.get(), events, 0}, {stop_fd_, POLLIN, 0}};
  int ready;
  do {
    ready = poll(waits, stop_fd_ >= 0 ? 2 : 1, deadline.PollMs());
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return Io::kTimeout;
  if (stop_fd_ >= 0 && waits[1].revents != 0) return Io::kStopped;
  return Io::kOk;
}

Io Socket::Send(std::string_view bytes, Millis limit) {
  const Deadline deadline(limit);
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      const Io waited = Wait(POLLOUT, deadline);
      if (waited != Io::kOk) return waited;
    } else {
      return Io::kReset;
    }
  }
  return Io::kOk;
}

size_t Socket::SendSome(std::string_view bytes) {
  const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<size_t>(sent) : 0;
}

Io Socket::Receive(std::string* to, size_t most, Millis limit) {
  const Deadline deadline(limit);
  const size_t before = to->size();
  to->resize(before + most);
  while (true) {
    const ssize_t got = recv(fd_.get(), to->data() + before, most, 0);
    to->resize(before + static_cast<size_t>(got > 0 ? got : 0));
    if (got > 0) return Io::kOk;
    if (got == 0) return Io::kEnd;
    if (errno != EAGAIN) return Io::kReset;
    const Io waited = Wait(POLLIN, deadline);
    if (waited != Io::kOk) return waited;
    to->resize(before + most);
  }
}

Io Socket::WaitClosed(Millis limit) {
  const Deadline deadline(limit);
  char drop[16 * 1024];
  while (true) {
    const ssize_t got = recv(fd_.get(), drop, sizeof(drop), 0);
    if (got == 0) return Io::kEnd;
    if (got < 0 && errno != EAGAIN) return Io::kReset;
    if (got > 0) continue;
    const Io waited = Wait(POLLIN, deadline);
    if (waited != Io::kOk) return waited;
  }
}

bool Socket::Readable(Millis limit) {
  pollfd wait{fd_.get(), POLLIN, 0};
  const Deadline deadline(limit);
  return poll(&wait, 1, limit.count() == 0 ? 0 : deadline.PollMs()) == 1;
}

void Socket::ShutdownWrite() { shutdown(fd_.get(), SHUT_WR); }

void Socket::Reset() {
  const linger abort{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  fd_.Reset();
}

}  // namespace ub::itest
