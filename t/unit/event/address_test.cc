#include "event/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace ub {
namespace {

sockaddr_storage V4(const char* ip, uint16_t port) {
  sockaddr_storage out{};
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  inet_pton(AF_INET, ip, &in.sin_addr);
  std::memcpy(&out, &in, sizeof in);
  return out;
}

sockaddr_storage V6(const char* ip, uint16_t port) {
  sockaddr_storage out{};
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  inet_pton(AF_INET6, ip, &in.sin6_addr);
  std::memcpy(&out, &in, sizeof in);
  return out;
}

std::string Text(const PeerAddress& address) {
  std::array<char, PeerAddress::kMaxText> text;
  return std::string(address.Text(&text));
}

std::string SockText(const void* address, size_t bytes) {
  std::array<char, 128> text;
  return std::string(SockaddrText(static_cast<const sockaddr*>(address), static_cast<socklen_t>(bytes), &text));
}

TEST(PeerAddress, Ipv4) {
  for (const char* ip : {"0.0.0.0", "127.0.0.1", "10.20.30.40", "255.255.255.255"}) {
    const PeerAddress peer = PeerAddress::From(V4(ip, 8080));
    EXPECT_EQ(Text(peer), ip);
    EXPECT_EQ(peer.port(), 8080);
    EXPECT_EQ(peer.bytes().size(), 4u);
    EXPECT_FALSE(peer.is_unix());
    EXPECT_FALSE(peer.is_ipv6());
  }
  EXPECT_EQ(PeerAddress::From(V4("1.2.3.4", 1)).bytes(), std::string_view("\x01\x02\x03\x04"));
}

TEST(PeerAddress, Ipv6) {
  for (const char* ip : {"::", "::1", "2001:db8::42", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    const PeerAddress peer = PeerAddress::From(V6(ip, 443));
    EXPECT_EQ(Text(peer), ip);
    EXPECT_EQ(peer.port(), 443);
    EXPECT_EQ(peer.bytes().size(), 16u);
    EXPECT_TRUE(peer.is_ipv6());
  }
}

TEST(PeerAddress, MappedIpv4IsIpv4) {
  const PeerAddress peer = PeerAddress::From(V6("::ffff:192.0.2.7", 9));
  EXPECT_EQ(Text(peer), "192.0.2.7");
  EXPECT_FALSE(peer.is_ipv6());
  EXPECT_EQ(peer.bytes(), PeerAddress::From(V4("192.0.2.7", 9)).bytes());
}

TEST(PeerAddress, UnixAndUnknown) {
  sockaddr_storage unnamed{};
  unnamed.ss_family = AF_UNIX;
  for (const PeerAddress& peer : {PeerAddress(), PeerAddress::From(unnamed)}) {
    EXPECT_TRUE(peer.is_unix());
    EXPECT_EQ(Text(peer), "unix:");
    EXPECT_EQ(peer.bytes(), "");
    EXPECT_EQ(peer.port(), 0);
  }
}

TEST(SockaddrText, TellsAddressAndPort) {
  const sockaddr_storage v4 = V4("127.0.0.1", 80), v6 = V6("2001:db8::1", 65535), mapped = V6("::ffff:1.2.3.4", 5);
  EXPECT_EQ(SockText(&v4, sizeof(sockaddr_in)), "127.0.0.1:80");
  EXPECT_EQ(SockText(&v6, sizeof(sockaddr_in6)), "[2001:db8::1]:65535");
  EXPECT_EQ(SockText(&mapped, sizeof(sockaddr_in6)), "1.2.3.4:5");
}

TEST(SockaddrText, UnixPathsOfEveryLength) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  EXPECT_EQ(SockText(&un, offsetof(sockaddr_un, sun_path)), "unix:");
  std::strcpy(un.sun_path, "/run/ub.sock");
  EXPECT_EQ(SockText(&un, sizeof un), "unix:/run/ub.sock");
  EXPECT_EQ(SockText(&un, offsetof(sockaddr_un, sun_path) + 4), "unix:/run") << "a path need not end in a zero";
  // The longest path fills sun_path without a zero.
  const std::string longest(sizeof un.sun_path, 'x');
  std::memcpy(un.sun_path, longest.data(), longest.size());
  EXPECT_EQ(SockText(&un, sizeof un), "unix:" + longest);
}

}  // namespace
}  // namespace ub
