// Opening, sharing and letting go of listening sockets.
// Size: every way in which a socket comes and goes, which must agree with each other.

#include "core/listen_sockets.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/clock.h"

namespace ub {

namespace {

// The kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;
// How long a port counts as ours after its sockets were let go: workers close their copies in that
// time.
constexpr uint64_t kReleasedMs = 10'000;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Status ListenError(const ListenConfig& address, int error_number) {
  const std::string what = "cannot listen on " + address.text + ": ";
  switch (error_number) {
    case EADDRINUSE:
      return Status(
          StatusCode::kExists, StatusSource::kSystem,
          what + "address already in use (another program, perhaps another instance, holds it)");
    case EACCES:
    case EPERM:
      return Status(
          StatusCode::kPermission, StatusSource::kSystem,
          what + (address.is_unix
                      ? "permission denied"
                      : "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)"));
    case EADDRNOTAVAIL:
      return Status(StatusCode::kInvalid, StatusSource::kSystem,
                    what + "this machine has no such address");
    case EMFILE:
    case ENFILE:
      return Status(StatusCode::kExhausted, StatusSource::kSystem,
                    what + "too many open files (raise the limit, ulimit -n)");
    default:
      return Status::System("cannot listen on " + address.text, error_number);
  }
}

Result<SocketAddress> ToSocketAddress(const ListenConfig& address) {
  SocketAddress result;
  if (address.is_unix) {
    auto* un = reinterpret_cast<sockaddr_un*>(&result.storage);
    if (address.address.size() >= sizeof(un->sun_path)) {
      return Fail(
          Status(StatusCode::kTooLarge, StatusSource::kConfig,
                 "cannot listen on " + address.text + ": the path is too long for a unix socket"));
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, address.address.c_str(), address.address.size() + 1);
    result.bytes = sizeof(*un);
    return result;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.address.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return Fail(
        Status(StatusCode::kInvalid, StatusSource::kConfig,
               "cannot listen on " + address.text + ": not an IP address: " + gai_strerror(error)));
  }
  memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.bytes = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

void SetOption(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof(on));
}

bool ListensAt(int fd, const SocketAddress& wanted) {
  sockaddr_storage bound{};
  socklen_t bytes = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bytes) < 0) return false;
  if (wanted.storage.ss_family == AF_UNIX) {
    const auto* want = reinterpret_cast<const sockaddr_un*>(&wanted.storage);
    const auto* have = reinterpret_cast<const sockaddr_un*>(&bound);
    return bound.ss_family == AF_UNIX &&
           strncmp(want->sun_path, have->sun_path, sizeof(have->sun_path)) == 0;
  }
  const auto* want6 = reinterpret_cast<const sockaddr_in6*>(&wanted.storage);
  const auto* have6 = reinterpret_cast<const sockaddr_in6*>(&bound);
  const auto* want4 = reinterpret_cast<const sockaddr_in*>(&wanted.storage);
  const auto* have4 = reinterpret_cast<const sockaddr_in*>(&bound);
  if (bound.ss_family == AF_INET6 && wanted.storage.ss_family == AF_INET6) {
    return want6->sin6_port == have6->sin6_port &&
           memcmp(&want6->sin6_addr, &have6->sin6_addr, sizeof(in6_addr)) == 0;
  }
  if (bound.ss_family == AF_INET && wanted.storage.ss_family == AF_INET) {
    return want4->sin_port == have4->sin_port && want4->sin_addr.s_addr == have4->sin_addr.s_addr;
  }
  int only6 = 0;
  bytes = sizeof(only6);
  getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, &bytes);
  return bound.ss_family == AF_INET6 && only6 == 0 && wanted.storage.ss_family == AF_INET &&
         want4->sin_addr.s_addr == htonl(INADDR_ANY) && want4->sin_port == have6->sin6_port &&
         IN6_IS_ADDR_UNSPECIFIED(&have6->sin6_addr);
}

Result<UniqueFd> Bind(const ListenConfig& address, bool reuse_port, mode_t mode = 0) {
  Result<SocketAddress> where = ToSocketAddress(address);
  if (!where) return Fail(where.error());
  const int family = where->storage.ss_family;
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Fail(ListenError(address, errno));
  if (family != AF_UNIX) {
    SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR);
    if (reuse_port) SetOption(fd.get(), SOL_SOCKET, SO_REUSEPORT);
    if (family == AF_INET6) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
    // Accepted sockets inherit it: one system call a connection saved.
    SetOption(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  }
  // A path gets the mode that its socket has before (Linux): to change the path's own would follow whatever somebody has
  // put there meanwhile.
  const bool is_unix = family == AF_UNIX;
  if (is_unix) fchmod(fd.get(), mode);
  const mode_t masked = is_unix ? umask(0) : 0;
  const int bound = bind(fd.get(), where->get(), where->bytes);
  const int error = errno;
  if (is_unix) umask(masked);
  if (bound < 0) return Fail(ListenError(address, error));
  return fd;
}

// A unix path is stale where nobody answers a connect: its program died without unlinking it.
Status ClearStalePath(const ListenConfig& address) {
  const char* path = address.address.c_str();
  struct stat info {};
  if (lstat(path, &info) < 0) return Status::Ok();  // not there, or bind will say what is wrong
  if (!S_ISSOCK(info.st_mode)) {
    return Status(StatusCode::kExists, StatusSource::kSystem,
                  "cannot listen on " + address.text +
                      ": the path exists and is no socket (remove it or choose another)");
  }
  Result<SocketAddress> where = ToSocketAddress(address);
  if (!where) return where.error();
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return ListenError(address, errno);
  // EAGAIN is a live listener with a full queue; only a refusal means that nobody is there.
  if (connect(probe.get(), where->get(), where->bytes) == 0 || errno != ECONNREFUSED) {
    return ListenError(address, EADDRINUSE);
  }
  unlink(path);
  return Status::Ok();
}

}  // namespace

Status ListenSockets::Open(const ListenConfig& address, uint32_t per_address,
                           uint32_t max_sockets, mode_t unix_mode) {
  if (address.is_unix) return OpenUnix(address, max_sockets, unix_mode);
  ListenConfig exact = address;
  const bool ours = address.port != 0 && OwnedPort(address.port);
  if (!ours) {
    // SO_REUSEPORT would let a second instance of the same user in silently, and half of the
    // connections would go there. A socket without it finds out; one that listens on the address
    // already is a conflict.
    Result<UniqueFd> probe = Bind(address, false);
    if (!probe) return probe.error();
    if (address.port == 0) exact.port = BoundPort(probe->get());
  }
  return Grow(exact, per_address, max_sockets);
}

Status ListenSockets::Grow(const ListenConfig& address, uint32_t per_address,
                           uint32_t max_sockets) {
  if (address.is_unix) return Status::Ok();
  ListenConfig exact = address;
  uint32_t have = 0;
  for (const ListenSocket& socket : sockets_) {
    if (socket.address != address.text) continue;
    if (socket.shared) return Status::Ok();  // passed in: there is one, and it cannot be had twice
    if (have++ == 0) exact.port = BoundPort(socket.fd.get());
  }
  std::vector<ListenSocket> opened;
  const auto undo = [&] {
    for (const ListenSocket& socket : opened) std::erase(removed_, socket.index);
  };
  while (have + opened.size() < per_address) {
    ListenSocket socket;
    socket.index = FreeIndex(max_sockets);
    socket.address = address.text;
    Result<UniqueFd> fd = Fail(Status());
    if (socket.index == UINT32_MAX) {
      fd = Fail(
          Status(StatusCode::kExhausted, StatusSource::kSystem,
                 "cannot listen on " + address.text +
                     ": the table of listening sockets is full (restart, or fewer addresses)"));
    } else {
      fd = OpenOne(exact);
    }
    if (!fd) {
      undo();
      return fd.error();
    }
    socket.fd = std::move(*fd);
    removed_.push_back(socket.index);  // keeps FreeIndex off it until the set is complete
    opened.push_back(std::move(socket));
  }
  undo();
  for (ListenSocket& socket : opened) sockets_.push_back(std::move(socket));
  return Status::Ok();
}

Status ListenSockets::Inherit(ListenSocket socket, bool keep_index, uint32_t max_sockets) {
  if (!keep_index) socket.index = FreeIndex(max_sockets);
  if (socket.index >= max_sockets) {
    return Status(StatusCode::kExhausted, StatusSource::kSystem,
                  "the table of listening sockets is full");
  }
  if (socket.address.starts_with("unix:") && !socket.passed)
    paths_.push_back(socket.address.substr(5));
  sockets_.push_back(std::move(socket));
  return Status::Ok();
}

bool ListenSockets::TakePassed(const ListenConfig& address, std::vector<UniqueFd>* passed,
                               uint32_t max_sockets) {
  Result<SocketAddress> wanted = ToSocketAddress(address);
  if (!wanted) return false;
  for (UniqueFd& fd : *passed) {
    if (!fd.valid() || !ListensAt(fd.get(), *wanted)) continue;
    ListenSocket socket;
    socket.address = address.text;
    socket.shared = socket.passed = true;
    socket.fd = std::move(fd);
    return Inherit(std::move(socket), false, max_sockets).ok();
  }
  return false;
}

Status ListenSockets::OpenUnix(const ListenConfig& address, uint32_t max_sockets, mode_t mode) {
  Status status = ClearStalePath(address);
  if (!status.ok()) return status;
  ListenSocket socket;
  socket.index = FreeIndex(max_sockets);
  if (socket.index == UINT32_MAX) {
    return Status(StatusCode::kExhausted, StatusSource::kSystem,
                  "the table of listening sockets is full");
  }
  socket.address = address.text;
  socket.shared = true;
  Result<UniqueFd> fd = Bind(address, false, mode);
  if (!fd) return fd.error();
  if (listen(fd->get(), kBacklog) < 0) {
    const int error = errno;
    unlink(address.address.c_str());
    return ListenError(address, error);
  }
  socket.fd = std::move(*fd);
  paths_.push_back(address.address);
  sockets_.push_back(std::move(socket));
  return Status::Ok();
}

Result<UniqueFd> ListenSockets::OpenOne(const ListenConfig& address) {
  Result<UniqueFd> fd = Bind(address, true);
  if (!fd) return fd;
  if (listen(fd->get(), kBacklog) < 0) return Fail(ListenError(address, errno));
  return fd;
}

std::vector<ListenSocket> ListenSockets::Remove(const std::string& address, bool unlink_path) {
  std::vector<ListenSocket> removed;
  for (ListenSocket& socket : sockets_) {
    if (socket.address == address) removed.push_back(std::move(socket));
  }
  std::erase_if(sockets_, [](const ListenSocket& socket) { return !socket.fd.valid(); });
  for (const ListenSocket& socket : removed) {
    removed_.push_back(socket.index);
    NoteOurs(BoundPort(socket.fd.get()));
  }
  if (address.starts_with("unix:")) {
    const std::string path = address.substr(5);
    if (std::erase(paths_, path) > 0 && unlink_path) unlink(path.c_str());
  }
  return removed;
}

void ListenSockets::Restore(std::vector<ListenSocket> removed) {
  for (ListenSocket& socket : removed) {
    std::erase(removed_, socket.index);
    sockets_.push_back(std::move(socket));
  }
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): they are closed when it ends
void ListenSockets::Forget(std::vector<ListenSocket> removed) {
  for (const ListenSocket& socket : removed) {
    std::erase(removed_, socket.index);
    NoteOurs(BoundPort(socket.fd.get()));
  }
}

void ListenSockets::NoteOurs(uint16_t port) {
  const uint64_t now = MonotonicMs();
  std::erase_if(released_, [&](const Released& released) {
    return released.port == port || now - released.at_ms >= kReleasedMs;
  });
  if (port != 0) released_.push_back({port, now});
}

void ListenSockets::UnlinkPaths() {
  for (const std::string& path : paths_) unlink(path.c_str());
  paths_.clear();
}

std::string DescribeSocket(const ListenSocket& socket) {
  return std::to_string(socket.index) + (socket.shared ? " shared" : " own") +
         (socket.tls ? " tls " : socket.h2c ? " h2c " : " plain ") + socket.address + "\n";
}

void ListenSockets::Adopt(std::string_view lines, std::vector<UniqueFd> fds) {
  const auto word = [&lines](char end) {
    const size_t size = std::min(lines.find(end), lines.size());
    const std::string_view taken = lines.substr(0, size);
    lines.remove_prefix(std::min(size + 1, lines.size()));
    return taken;
  };
  for (UniqueFd& fd : fds) {
    ListenSocket socket;
    const std::string_view index = word(' ');
    if (std::from_chars(index.data(), index.data() + index.size(), socket.index).ec != std::errc()) return;
    socket.shared = word(' ') == "shared";
    const std::string_view protocol = word(' ');
    socket.tls = protocol == "tls";
    socket.h2c = protocol == "h2c";
    socket.address = word('\n');
    socket.fd = std::move(fd);
    sockets_.push_back(std::move(socket));
  }
}

void ListenSockets::MarkProtocols(const std::vector<ListenConfig>& listen) {
  for (const ListenConfig& address : listen) {
    for (ListenSocket& socket : sockets_) {
      if (socket.address != address.text) continue;
      socket.tls = address.tls;
      socket.h2c = address.h2c;
    }
  }
}

bool ListenSockets::Has(const std::string& address) const {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [&](const ListenSocket& socket) { return socket.address == address; });
}

// True where the probe of Open would find ourselves: 127.0.0.1:80 beside our own 0.0.0.0:80, or
// sockets that workers are about to close.
bool ListenSockets::OwnedPort(uint16_t port) const {
  const auto is_port = [port](const ListenSocket& socket) {
    return BoundPort(socket.fd.get()) == port;
  };
  if (std::any_of(sockets_.begin(), sockets_.end(), is_port)) return true;
  const uint64_t now = MonotonicMs();
  return std::any_of(released_.begin(), released_.end(), [&](const Released& released) {
    return released.port == port && now - released.at_ms < kReleasedMs;
  });
}

// Goes round the table, so that an index is used again as late as can be.
uint32_t ListenSockets::FreeIndex(uint32_t max_sockets) {
  for (uint32_t tried = 0; tried < max_sockets; ++tried) {
    const uint32_t index = next_index_ % max_sockets;
    next_index_ = index + 1;
    const bool taken =
        std::any_of(sockets_.begin(), sockets_.end(),
                    [&](const ListenSocket& socket) { return socket.index == index; }) ||
        std::find(removed_.begin(), removed_.end(), index) != removed_.end();
    if (!taken) return index;
  }
  return UINT32_MAX;
}

uint16_t BoundPort(int fd) {
  sockaddr_storage bound{};
  socklen_t bytes = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bytes) < 0) return 0;
  if (bound.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
  if (bound.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port);
  return 0;
}

Status RefuseNewConnections(int listening_fd) {
  int domain = 0;
  socklen_t bytes = sizeof(domain);
  if (getsockopt(listening_fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0) {
    return Status::System("getsockopt", errno);
  }
  if (domain == AF_UNIX) return Status::Ok();  // unlinking the path does it
  // The filter sees the segment from its TCP header on. Byte 13 holds the flags: SYN without ACK is
  // a new connection. All else passes, above all the ACK that completes a handshake.
  sock_filter code[] = {
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02}, {BPF_RET | BPF_K, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, UINT32_MAX},
  };
  const sock_fprog program{sizeof(code) / sizeof(code[0]), code};
  if (setsockopt(listening_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0) {
    return Status::System("filter on a listening socket", errno);
  }
  return Status::Ok();
}

void AcceptNewConnections(int listening_fd) {
  const int unused = 0;
  setsockopt(listening_fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

void StopListening(const std::vector<ListenSocket>& sockets) {
  for (const ListenSocket& socket : sockets) {
    if (!socket.passed) shutdown(socket.fd.get(), SHUT_RDWR);
  }
}

}  // namespace ub
