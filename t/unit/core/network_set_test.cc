#include "core/network_set.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace ub {
namespace {

std::string Bytes(const std::string& text) {
  char bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return std::string(bytes, 4);
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return std::string(bytes, 16);
  ADD_FAILURE() << text << " is no address";
  return {};
}

bool Holds(const std::vector<std::string>& networks, const std::string& address) {
  return NetworkSet(networks).Contains(Bytes(address));
}

TEST(NetworkSet, HoldsWhatIsInsideItsNetworks) {
  const std::vector<std::string> networks = {"10.0.0.0/8", "192.0.2.7", "172.16.0.0/12", "2001:db8::/32", "::1"};
  for (const char* inside : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "172.31.0.1", "2001:db8:1::", "::1"}) {
    EXPECT_TRUE(Holds(networks, inside)) << inside;
  }
  for (const char* outside : {"9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "172.32.0.0", "2001:db9::", "::2"}) {
    EXPECT_FALSE(Holds(networks, outside)) << outside;
  }
}

TEST(NetworkSet, BitsBehindThePrefixDoNotCount) {
  EXPECT_TRUE(Holds({"10.1.2.3/8"}, "10.9.9.9"));
  EXPECT_TRUE(Holds({"10.1.2.129/25"}, "10.1.2.255"));
  EXPECT_FALSE(Holds({"10.1.2.129/25"}, "10.1.2.127"));
  EXPECT_TRUE(Holds({"2001:db8::ffff/127"}, "2001:db8::fffe"));
}

TEST(NetworkSet, AllOfOneFamilyIsNotAllOfTheOther) {
  EXPECT_TRUE(Holds({"0.0.0.0/0"}, "203.0.113.1"));
  EXPECT_FALSE(Holds({"0.0.0.0/0"}, "2001:db8::1"));
  EXPECT_TRUE(Holds({"::/0"}, "2001:db8::1"));
  EXPECT_FALSE(Holds({"::/0"}, "203.0.113.1"));
}

TEST(NetworkSet, UnixPeersAreNamedApart) {
  EXPECT_TRUE(NetworkSet({"unix:"}).Contains({}));
  EXPECT_FALSE(NetworkSet({"0.0.0.0/0", "::/0"}).Contains({}));
  EXPECT_FALSE(NetworkSet({"unix:"}).Contains(Bytes("127.0.0.1")));
}

TEST(NetworkSet, EmptyHoldsNothing) {
  EXPECT_TRUE(NetworkSet().empty());
  EXPECT_FALSE(NetworkSet().Contains(Bytes("127.0.0.1")));
  EXPECT_FALSE(NetworkSet({"unix:"}).empty());
}

TEST(NetworkSet, ManyNetworksOfOneLength) {
  std::vector<std::string> networks;
  for (int i = 255; i >= 0; --i) networks.push_back("10.0." + std::to_string(i) + ".0/24");
  EXPECT_TRUE(Holds(networks, "10.0.0.9"));
  EXPECT_TRUE(Holds(networks, "10.0.128.9"));
  EXPECT_TRUE(Holds(networks, "10.0.255.9"));
  EXPECT_FALSE(Holds(networks, "10.1.0.9"));
}

}  // namespace
}  // namespace ub
