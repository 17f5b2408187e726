#include "event/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace ub {

PeerAddress PeerAddress::From(const sockaddr_storage& address) {
  PeerAddress out;
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    std::memcpy(out.ip_.data(), &in.sin_addr, 4);
    out.port_ = ntohs(in.sin_port);
    out.family_ = 4;
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    out.port_ = ntohs(in.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
      std::memcpy(out.ip_.data(), in.sin6_addr.s6_addr + 12, 4);
      out.family_ = 4;
    } else {
      std::memcpy(out.ip_.data(), &in.sin6_addr, 16);
      out.family_ = 6;
    }
  }
  return out;
}

std::optional<PeerAddress> PeerAddress::Parse(std::string_view text) {
  std::string_view host = text, port;
  const bool bracketed = text.starts_with('[');
  // One colon is a port's; several are an IPv6 address's.
  const size_t colon = bracketed ? text.find("]:") : text.find(':');
  if (colon != std::string_view::npos && (bracketed || text.rfind(':') == colon)) {
    host = text.substr(0, colon + (bracketed ? 1 : 0));
    port = text.substr(colon + (bracketed ? 2 : 1));
    if (port.empty()) return std::nullopt;
  }
  if (bracketed) {
    if (host.size() < 2 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  }
  char copy[kMaxText];
  if (host.size() >= sizeof copy) return std::nullopt;
  host.copy(copy, host.size());
  copy[host.size()] = '\0';
  uint16_t number = 0;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  }
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (!bracketed && inet_pton(AF_INET, copy, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(number);
    std::memcpy(&storage, &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, copy, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(number);
    std::memcpy(&storage, &v6, sizeof v6);
  } else {
    return std::nullopt;
  }
  return From(storage);
}

std::string_view PeerAddress::bytes() const {
  return {reinterpret_cast<const char*>(ip_.data()), family_ == 4 ? 4u : family_ == 6 ? 16u : 0u};
}

std::string_view PeerAddress::Text(std::array<char, kMaxText>* out) const {
  if (family_ == 0) return "unix:";
  if (family_ == 6) {
    inet_ntop(AF_INET6, ip_.data(), out->data(), kMaxText);
    return out->data();
  }
  // By hand: inet_ntop goes through snprintf, and this runs for every request.
  char* at = out->data();
  char* const end = at + out->size();
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *at++ = '.';
    at = std::to_chars(at, end, ip_[static_cast<size_t>(i)]).ptr;
  }
  return {out->data(), static_cast<size_t>(at - out->data())};
}

std::string_view SockaddrText(const sockaddr* address, socklen_t bytes, std::array<char, 128>* out) {
  if (address->sa_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(address);
    const size_t head = offsetof(sockaddr_un, sun_path);
    const size_t length = bytes > head ? strnlen(un->sun_path, bytes - head) : 0;
    const int n = std::snprintf(out->data(), out->size(), "unix:%.*s", static_cast<int>(length), un->sun_path);
    return {out->data(), std::min(static_cast<size_t>(n), out->size() - 1)};
  }
  sockaddr_storage storage{};
  std::memcpy(&storage, address, std::min<size_t>(bytes, sizeof storage));
  const PeerAddress peer = PeerAddress::From(storage);
  std::array<char, PeerAddress::kMaxText> ip;
  const std::string_view text = peer.Text(&ip);
  const int n = std::snprintf(out->data(), out->size(), peer.is_ipv6() ? "[%.*s]:%u" : "%.*s:%u",
                              static_cast<int>(text.size()), text.data(), peer.port());
  return {out->data(), static_cast<size_t>(n)};
}

}  // namespace ub
