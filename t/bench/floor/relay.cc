// The floor that a proxy is measured against: bytes from one socket to another, unread. One connection to the backend for
// each of a client's; two reads and two writes a request, level with nothing else.
//
//   relay LISTEN_PORT BACKEND_PORT      on 127.0.0.1, until it is killed
//
// A tool of t/bench/beside. Drops a pair where either side cannot take what the other sent: no relay for real use.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

std::vector<int> other_end(1 << 16, -1);  // by descriptor
std::vector<char> bytes(256 * 1024);

sockaddr_in Loopback(const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Watch(int poll, int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

void Accept(int poll, int listener, const sockaddr_in& backend) {
  for (;;) {
    const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (client < 0) return;
    const int to = socket(AF_INET, SOCK_STREAM, 0);
    const auto most = static_cast<int>(other_end.size());
    if (to < 0 || to >= most || client >= most || connect(to, reinterpret_cast<const sockaddr*>(&backend), sizeof backend) != 0) {
      close(client);
      close(to);
      continue;
    }
    other_end[static_cast<size_t>(client)] = to;
    other_end[static_cast<size_t>(to)] = client;
    Watch(poll, client);
    Watch(poll, to);
  }
}

void Drop(int fd) {
  const int peer = std::exchange(other_end[static_cast<size_t>(fd)], -1);
  other_end[static_cast<size_t>(peer)] = -1;
  close(fd);
  close(peer);
}

bool SendAll(int fd, size_t count) {
  for (size_t at = 0; at < count;) {
    const ssize_t sent = send(fd, bytes.data() + at, count - at, MSG_NOSIGNAL);
    if (sent > 0) {
      at += static_cast<size_t>(sent);
    } else if (errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

void Move(int fd) {
  while (other_end[static_cast<size_t>(fd)] >= 0) {
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || !SendAll(other_end[static_cast<size_t>(fd)], static_cast<size_t>(got))) return Drop(fd);
    if (static_cast<size_t>(got) < bytes.size()) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: relay LISTEN_PORT BACKEND_PORT\n", stderr);
    return 2;
  }
  const sockaddr_in own = Loopback(argv[1]), backend = Loopback(argv[2]);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 || listen(listener, 4096) != 0) {
    std::perror("relay");
    return 1;
  }
  const int poll = epoll_create1(0);
  epoll_event first{};
  first.events = EPOLLIN;
  first.data.fd = listener;
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &first);
  std::array<epoll_event, 512> ready;
  for (;;) {
    const int count = epoll_wait(poll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<size_t>(i)].data.fd;
      if (fd == listener) {
        Accept(poll, listener, backend);
      } else {
        Move(fd);
      }
    }
  }
}
