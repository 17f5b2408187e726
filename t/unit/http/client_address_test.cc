#include "http/client_address.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

// FindClient for a peer and the values of its X-Forwarded-For fields, as text; '+' in front where the peer is trusted.
std::string Find(const std::string& peer, const std::vector<std::string>& fields,
                 const std::vector<std::string>& trust) {
  HeaderList headers;
  for (const std::string& value : fields) headers.push_back({"X-Forwarded-For", value, HeaderId::kXForwardedFor});
  const PeerAddress address = peer.empty() ? PeerAddress() : PeerAddress::Parse(peer).value();
  const ClientAddress client = FindClient(address, headers, NetworkSet(trust));
  std::array<char, PeerAddress::kMaxText> text;
  return (client.peer_trusted ? "+" : "") + std::string(client.address.Text(&text));
}

TEST(ClientAddress, AnUntrustedPeerIsTheClientWhateverItSays) {
  EXPECT_EQ(Find("203.0.113.9", {"10.0.0.1"}, {}), "203.0.113.9");
  EXPECT_EQ(Find("203.0.113.9", {"198.51.100.1"}, {"10.0.0.0/8"}), "203.0.113.9");
}

TEST(ClientAddress, TheFirstUntrustedFromTheEnd) {
  const std::vector<std::string> trust = {"10.0.0.0/8", "::1"};
  EXPECT_EQ(Find("10.0.0.1", {"198.51.100.1"}, trust), "+198.51.100.1");
  EXPECT_EQ(Find("10.0.0.1", {"6.6.6.6, 198.51.100.1, 10.0.0.2"}, trust), "+198.51.100.1");
  EXPECT_EQ(Find("::1", {"2001:db8::5"}, trust), "+2001:db8::5");
  // Several fields are one list.
  EXPECT_EQ(Find("10.0.0.1", {"6.6.6.6", "198.51.100.7", "10.9.9.9"}, trust), "+198.51.100.7");
}

TEST(ClientAddress, AllTrustedMeansTheFirstOfThem) {
  EXPECT_EQ(Find("10.0.0.1", {"10.0.0.3, 10.0.0.2"}, {"10.0.0.0/8"}), "+10.0.0.3");
  EXPECT_EQ(Find("10.0.0.1", {}, {"10.0.0.0/8"}), "+10.0.0.1");
}

TEST(ClientAddress, WhatIsNoAddressEndsTheSearch) {
  const std::vector<std::string> trust = {"10.0.0.0/8"};
  EXPECT_EQ(Find("10.0.0.1", {"198.51.100.1, unknown, 10.0.0.2"}, trust), "+10.0.0.2");
  EXPECT_EQ(Find("10.0.0.1", {"198.51.100.1, _hidden"}, trust), "+10.0.0.1");
  EXPECT_EQ(Find("10.0.0.1", {" , ,198.51.100.1, ,"}, trust), "+198.51.100.1");
}

TEST(ClientAddress, PortsAreTakenOff) {
  const std::vector<std::string> trust = {"10.0.0.0/8"};
  EXPECT_EQ(Find("10.0.0.1", {"198.51.100.1:4711"}, trust), "+198.51.100.1");
  EXPECT_EQ(Find("10.0.0.1", {"[2001:db8::1]:4711"}, trust), "+2001:db8::1");
}

TEST(ClientAddress, UnixPeersWhereTheyAreTrusted) {
  EXPECT_EQ(Find("", {"198.51.100.1"}, {"unix:"}), "+198.51.100.1");
  EXPECT_EQ(Find("", {"198.51.100.1"}, {"10.0.0.0/8"}), "unix:");
}

TEST(PeerAddressParse, TakesAddressesWithAndWithoutPorts) {
  EXPECT_EQ(PeerAddress::Parse("192.0.2.1")->port(), 0);
  EXPECT_EQ(PeerAddress::Parse("192.0.2.1:80")->port(), 80);
  EXPECT_EQ(PeerAddress::Parse("[::1]:8080")->port(), 8080);
  EXPECT_TRUE(PeerAddress::Parse("::1")->is_ipv6());
  EXPECT_FALSE(PeerAddress::Parse("::ffff:192.0.2.1")->is_ipv6());
  for (const char* bad : {"", "a", "192.0.2", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:70000", "[::1", "[::1]x", "[]",
                          "[192.0.2.1]", "::1:80:zz", "192.0.2.1.5", "::1%lo",
                          "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"}) {
    EXPECT_FALSE(PeerAddress::Parse(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace ub
