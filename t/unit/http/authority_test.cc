#include "http/authority.h"

#include <string>

#include "gtest/gtest.h"

namespace ub {
namespace {

TEST(Authority, AcceptsNamesAddressesAndPorts) {
  for (const char* good : {"a", "example.com", "example.com.", "a-b_c~d", "127.0.0.1", "127.0.0.1:80", "a:0", "a:65535", "a:",
                           "[::1]", "[::1]:8080", "[2001:db8::1]:", "%41b", "a%2Fb:1", "sub!$&'()*+,;=delims"}) {
    EXPECT_TRUE(IsValidAuthority(good)) << good;
  }
}

TEST(Authority, RefusesEverythingElse) {
  for (const char* bad :
       {"", ":80", "user@a", "user:secret@a:80", "a:65536", "a:99999", "a:123456", "a:-1", "a:+1", "a: 1", "a:8x", "a:80:80",
        "[]", "[::1", "::1", "[::1]x", "[::1]:x", "[::g]", "[127.0.0.1]", "[fe80::1%25eth0]", "[::1]]", "a b", "a\tb", "a/b",
        "a?b", "a#b", "a\\b", "a\"b", "<a>", "%", "%4", "%4g", "%gg", "\x80", "a\x7f"}) {
    EXPECT_FALSE(IsValidAuthority(bad)) << bad;
  }
  EXPECT_FALSE(IsValidAuthority(std::string_view("a\0b", 3)));
}

TEST(AbsoluteTarget, IsCutIntoItsParts) {
  struct Case {
    const char *target, *authority, *rest;
    bool https;
  };
  for (const Case& c : {Case{"http://a/b?c", "a", "/b?c", false}, Case{"HTTP://a", "a", "", false},
                        Case{"https://a:443?q", "a:443", "?q", true}, Case{"HttpS://[::1]:1/", "[::1]:1", "/", true},
                        Case{"http:///x", "", "/x", false}, Case{"http://", "", "", false},
                        Case{"http://a@b/", "a@b", "/", false}}) {
    AbsoluteTarget parts;
    ASSERT_TRUE(SplitAbsoluteTarget(c.target, &parts)) << c.target;
    EXPECT_EQ(parts.authority, c.authority) << c.target;
    EXPECT_EQ(parts.rest, c.rest) << c.target;
    EXPECT_EQ(parts.https, c.https) << c.target;
  }
  AbsoluteTarget parts;
  for (const char* other : {"", "/", "*", "/http://a", "ftp://a/", "http:/a", "http:a", "http//a", "a:80"}) {
    EXPECT_FALSE(SplitAbsoluteTarget(other, &parts)) << other;
  }
}

TEST(SameAuthority, ComparesHostsWithoutCaseAndPortsWithTheirDefault) {
  EXPECT_TRUE(SameAuthority("Example.COM", "example.com:80", false));
  EXPECT_TRUE(SameAuthority("[::1]:", "[::1]:443", true));
  EXPECT_FALSE(SameAuthority("a:80", "a:443", false));
  EXPECT_FALSE(SameAuthority("a:080", "a:80", false)) << "no arithmetic: what differs in bytes may be read differently";
  EXPECT_FALSE(SameAuthority("", "a", false));
  EXPECT_FALSE(SameAuthority("a", "", true));
  EXPECT_TRUE(SameAuthority("", "", true));
}

}  // namespace
}  // namespace ub
