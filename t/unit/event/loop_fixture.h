// A real loop over real sockets, for the tests of what runs on it: runs until a condition holds, and never sleeps.
#ifndef UB_T_UNIT_EVENT_LOOP_FIXTURE_H_
#define UB_T_UNIT_EVENT_LOOP_FIXTURE_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/log.h"
#include "core/unique_fd.h"
#include "event/event_loop.h"

namespace ub {

// A time that something must get done in, stretched by UB_TIME_FACTOR (for loaded machines).
inline uint32_t Stretched(uint32_t ms) {
  const char* factor = getenv("UB_TIME_FACTOR");
  return static_cast<uint32_t>(ms * (factor != nullptr ? atof(factor) : 1.0));
}

// The usual deadline of a condition: only a failing test reaches it.
inline std::chrono::milliseconds TestLimit() { return std::chrono::milliseconds(Stretched(10000)); }

class LoopFixture {
 public:
  LoopFixture() : loop_(std::move(*EventLoop::Create())) {}

  EventLoop* loop() { return loop_.get(); }
  // Destroys the loop now.
  void DropLoop() { loop_.reset(); }

  // Runs the loop until `done` holds, which is asked every millisecond until then. False where the deadline passed first.
  bool RunUntil(const std::function<bool()>& done) {
    if (done()) return true;
    Watch watch{this, &done, std::chrono::steady_clock::now() + TestLimit()};
    Timer timer(loop_.get(), &LoopFixture::Look, &watch);
    watch.timer = &timer;
    timer.Set(loop_->now_ns() + 1'000'000);
    loop_->Run();
    return watch.held;
  }
  // Lets the loop make `turns` turns: whatever is ready is handled.
  void RunTurns(int turns = 5) {
    Turns left{this, turns, nullptr};
    Task task(loop_.get(), &LoopFixture::CountTurn, &left);
    left.task = &task;
    loop_->RunSoon(&task);
    loop_->Run();
  }

 private:
  struct Watch {
    LoopFixture* self;
    const std::function<bool()>* done;
    std::chrono::steady_clock::time_point end;
    Timer* timer = nullptr;
    bool held = false;
  };
  struct Turns {
    LoopFixture* self;
    int left;
    LoopClient* task;
  };
  static void Look(void* arg) {
    auto* watch = static_cast<Watch*>(arg);
    watch->held = (*watch->done)();
    if (watch->held || std::chrono::steady_clock::now() > watch->end) {
      watch->self->loop_->Stop();
    } else {
      watch->timer->Set(watch->self->loop_->now_ns() + 1'000'000);
    }
  }
  static void CountTurn(void* arg) {
    auto* turns = static_cast<Turns*>(arg);
    if (--turns->left == 0) {
      turns->self->loop_->Stop();
    } else {
      turns->self->loop_->RunSoon(turns->task);
    }
  }

  std::unique_ptr<EventLoop> loop_;
};

class LoopTest : public testing::Test, public LoopFixture {};

inline void MakeNonBlocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Two ends of a unix stream; both non-blocking.
inline std::pair<UniqueFd, UniqueFd> SocketPair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct TcpListener {
  UniqueFd fd;
  sockaddr_in address{};
  const sockaddr* sa() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// A listening socket at a free port of 127.0.0.1, non-blocking.
inline TcpListener ListenTcp(int backlog = 128) {
  TcpListener out;
  out.fd = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  out.address.sin_family = AF_INET;
  out.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(out.fd.get(), out.sa(), sizeof out.address), 0);
  EXPECT_EQ(listen(out.fd.get(), backlog), 0);
  socklen_t bytes = sizeof out.address;
  getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&out.address), &bytes);
  return out;
}

// A connected TCP socket, blocking while it connects, then non-blocking.
inline UniqueFd DialTcp(const sockaddr_in& address) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  MakeNonBlocking(fd.get());
  return fd;
}

// Two ends of a TCP connection over the loopback; both non-blocking.
inline std::pair<UniqueFd, UniqueFd> TcpPair() {
  const TcpListener listener = ListenTcp();
  UniqueFd left = DialTcp(listener.address);
  UniqueFd right(accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(right.valid());
  const int one = 1;  // as the listener has it for whom it accepts
  EXPECT_EQ(setsockopt(left.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
  return {std::move(left), std::move(right)};
}

// Has the close of `fd` send a reset, and closes it.
inline void CloseWithReset(UniqueFd* fd) {
  const linger hard{1, 0};
  setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd->Reset();
}

// Until poll(2) tells of `events` at `fd`.
inline bool AwaitPoll(int fd, short events) {
  pollfd entry{fd, events, 0};
  return poll(&entry, 1, static_cast<int>(TestLimit().count())) == 1;
}

inline void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN && AwaitPoll(fd, POLLOUT)) continue;
    ASSERT_GT(n, 0);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// What can be read from `fd` now, without waiting.
inline std::string Drink(int fd) {
  std::string out;
  char bytes[65536];
  for (;;) {
    const ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) return out;
    out.append(bytes, static_cast<size_t>(n));
  }
}

}  // namespace ub

#endif  // UB_T_UNIT_EVENT_LOOP_FIXTURE_H_
