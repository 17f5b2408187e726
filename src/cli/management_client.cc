#include "cli/management_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "core/clock.h"
#include "core/config_text.h"
#include "core/management_link.h"
#include "core/unique_fd.h"
#include "http/http1_parser.h"

namespace ub {
namespace {

struct Target {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// Config binding has checked that the address is one.
Target Resolve(const ListenConfig& at) {
  Target out;
  if (at.is_unix) {
    auto* un = reinterpret_cast<sockaddr_un*>(&out.storage);
    un->sun_family = AF_UNIX;
    at.address.copy(un->sun_path, sizeof(un->sun_path) - 1);
    out.bytes = sizeof *un;
    return out;
  }
  if (IsIpv6(at.address)) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(at.port);
    inet_pton(AF_INET6, at.address.c_str(), &v6->sin6_addr);
    out.bytes = sizeof *v6;
    return out;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(at.port);
  inet_pton(AF_INET, at.address.c_str(), &v4->sin_addr);
  out.bytes = sizeof *v4;
  return out;
}

Status Error(StatusCode code, std::string detail) { return Status(code, StatusSource::kSystem, std::move(detail)); }

// False: the deadline passed.
bool WaitFor(int fd, short events, uint64_t until_ms) {
  for (uint64_t now = MonotonicMs(); now < until_ms; now = MonotonicMs()) {
    pollfd polled{fd, events, 0};
    const int ready = poll(&polled, 1, static_cast<int>(until_ms - now));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

Result<std::string> Exchange(int fd, std::string_view request, uint64_t until_ms, const std::string& place) {
  while (!request.empty()) {
    const ssize_t n = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (n > 0) {
      request.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Fail(Error(StatusCode::kRefused, fmt::format("{}: {}", place, strerror(errno))));
    } else if (!WaitFor(fd, POLLOUT, until_ms)) {
      return Fail(Error(StatusCode::kTimeout, fmt::format("{} does not answer", place)));
    }
  }
  std::string answer;
  char bytes[16384];
  for (;;) {
    const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n == 0) return answer;
    if (n > 0) {
      answer.append(bytes, static_cast<size_t>(n));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Fail(Error(StatusCode::kRefused, fmt::format("{}: {}", place, strerror(errno))));
    } else if (!WaitFor(fd, POLLIN, until_ms)) {
      return Fail(Error(StatusCode::kTimeout, fmt::format("{} does not answer", place)));
    }
  }
}

}  // namespace

ListenConfig ReachedAt(ListenConfig at) {
  if (at.is_unix) return at;
  if (at.address == "0.0.0.0") {
    at.address = "127.0.0.1";
    at.text = fmt::format("127.0.0.1:{}", at.port);
  } else if (CanonicalIp(at.address) == "::") {
    at.address = "::1";
    at.text = fmt::format("[::1]:{}", at.port);
  }
  return at;
}

std::string ManagementPlace(const AdminConfig& config) {
  const std::optional<ListenConfig> at = ManagementAddress(config);
  return at ? ReachedAt(*at).text : "";
}

Result<ManagementReply> AskManagement(const AdminConfig& config, std::string_view target, uint32_t timeout_ms) {
  const std::optional<ListenConfig> listener = ManagementAddress(config);
  if (!listener)
    return Fail(
        Error(StatusCode::kNotFound, "admin.enabled is false: there is no management address"));
  const ListenConfig at = ReachedAt(*listener);
  const std::string& place = at.text;
  const Target to = Resolve(at);
  const uint64_t until_ms = MonotonicMs() + timeout_ms;
  const UniqueFd fd(socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Fail(Status::System("socket", errno));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.bytes) != 0) {
    int error = errno;
    if (error == EINPROGRESS) {
      error = WaitFor(fd.get(), POLLOUT, until_ms) ? 0 : ETIMEDOUT;
      socklen_t bytes = sizeof error;
      if (error == 0) getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    }
    if (error != 0) {
      return Fail(Error(StatusCode::kRefused,
                        fmt::format("no instance answers at {}: {} (is it running? give its configuration with -c)",
                                    place, strerror(error))));
    }
  }
  std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", target,
                                    at.is_unix ? "localhost" : place);
  if (!config.api_key.empty()) request += fmt::format("X-API-Key: {}\r\n", config.api_key);
  Result<std::string> answer = Exchange(fd.get(), request + "\r\n", until_ms, place);
  if (!answer) return Fail(answer.error());
  HeadCursor cursor;
  ResponseHead head;
  const ParseOutcome outcome = ParseResponseHead(*answer, cursor, ParseLimits(), Method::kGet, &head);
  const bool whole = outcome.verdict == ParseVerdict::kComplete && head.body == BodyKind::kLength &&
                     answer->size() - head.bytes == head.content_length;
  if (!whole) {
    return Fail(Error(StatusCode::kProtocol, fmt::format("{} does not answer as a management address does", place)));
  }
  return ManagementReply{head.status, answer->substr(head.bytes)};
}

}  // namespace ub
