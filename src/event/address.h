// A peer's address in small: what a connection keeps of who it talks to. Any process.
#ifndef UB_EVENT_ADDRESS_H_
#define UB_EVENT_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ub {

// An IP address and port, or "unix" (a unix socket's peer has no address worth telling). 20 bytes.
class PeerAddress {
 public:
  static constexpr size_t kMaxText = 46;  // INET6_ADDRSTRLEN

  PeerAddress() = default;
  // IPv4-mapped IPv6 addresses become IPv4.
  static PeerAddress From(const sockaddr_storage& address);
  // "192.0.2.1", "2001:db8::1", "[2001:db8::1]", each also with ":port" behind it (IPv6 then in brackets): what
  // X-Forwarded-For may hold.
  static std::optional<PeerAddress> Parse(std::string_view text);

  bool is_unix() const { return family_ == 0; }
  bool is_ipv6() const { return family_ == 6; }
  uint16_t port() const { return port_; }
  // 4 or 16 bytes in network order; 0 for unix.
  std::string_view bytes() const;
  // "192.0.2.1", "2001:db8::1" or "unix:"; written to `out`, which is returned as a slice. No allocation.
  std::string_view Text(std::array<char, kMaxText>* out) const;

 private:
  std::array<uint8_t, 16> ip_{};
  uint16_t port_ = 0;
  uint8_t family_ = 0;  // 4, 6 or 0
};

// "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path": for people.
std::string_view SockaddrText(const sockaddr* address, socklen_t bytes, std::array<char, 128>* out);

}  // namespace ub

#endif  // UB_EVENT_ADDRESS_H_
