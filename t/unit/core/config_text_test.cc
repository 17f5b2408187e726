#include "core/config_text.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

using std::string_view_literals::operator""sv;

TEST(ConfigText, TrimsAndSplits) {
  EXPECT_EQ(TrimSpaces(" \t\r\na b\f\v "), "a b");
  EXPECT_EQ(TrimSpaces(" \n"), "");
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(SplitTrimmed("a, b ,c", ','), (Parts{"a", "b", "c"}));
  EXPECT_EQ(SplitTrimmed("a,,b,", ','), (Parts{"a", "", "b", ""}));
  EXPECT_EQ(SplitTrimmed("  ", ','), Parts{});
  EXPECT_EQ(ToLowerAscii("AbZ-\xc3\x84"), "abz-\xc3\x84");
}

TEST(ConfigText, PrintableShowsControlCharactersAndCutsBetweenLetters) {
  EXPECT_EQ(Printable("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(Printable("\0x"sv), "\\x00x");
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
  EXPECT_EQ(Printable("abc", 3), "abc");
  EXPECT_EQ(Printable("ab\xc3\xb6\xc3\xb6", 3), "ab\xc3\xb6...") << "no half letter";
}

TEST(ConfigText, FindsWhereUtf8Ends) {
  const size_t good = std::string_view::npos;
  const struct {
    std::string_view text;
    size_t at;
  } kCases[] = {
      {"", good},
      {"plain", good},
      {"\0"sv, good},
      {"\xc2\x80\xdf\xbf", good},
      {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", good},
      {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", good},
      {"a\x80", 1},
      {"\xc0\xaf", 0},
      {"\xc1\xbf", 0},
      {"\xe0\x9f\xbf", 0},
      {"\xed\xa0\x80", 0},
      {"\xf0\x8f\xbf\xbf", 0},
      {"\xf4\x90\x80\x80", 0},
      {"\xf5\x80\x80\x80", 0},
      {"\xff", 0},
      {"ab\xc3", 2},
      {"ab\xe2\x82", 2},
      {"ab\xf0\x9f\x98", 2},
      {"\xc3\x28", 0},
      {"\xe2\x28\xa1", 0},
      {"\xe2\x82\x28", 0},
      {"\xc3\xb6\xc3", 2},
  };
  for (const auto& test : kCases) EXPECT_EQ(FindInvalidUtf8(test.text), test.at) << test.text;
}

TEST(ConfigText, Numbers) {
  EXPECT_EQ(ParseUnsigned("0"), 0u);
  EXPECT_EQ(ParseUnsigned("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"", " 1", "1 ", "+1", "-1", "1.0", "0x1", "1a", "18446744073709551616"}) {
    EXPECT_EQ(ParseUnsigned(bad), std::nullopt) << bad;
  }
  EXPECT_TRUE(IsNegativeNumber("-1"));
  for (const char* bad : {"", "-", "1", "--1", "-x"}) EXPECT_FALSE(IsNegativeNumber(bad)) << bad;
  for (const char* yes : {"true", "True", "YES", "on"}) EXPECT_EQ(ParseBool(yes), true) << yes;
  for (const char* no : {"false", "FALSE", "no", "Off"}) EXPECT_EQ(ParseBool(no), false) << no;
  for (const char* bad : {"", "1", "0", "y", "t", "true "}) {
    EXPECT_EQ(ParseBool(bad), std::nullopt) << bad;
  }
}

TEST(ConfigText, SizesAndDurations) {
  EXPECT_EQ(ParseSize("0"), 0u);
  EXPECT_EQ(ParseSize("32k"), 32768u);
  EXPECT_EQ(ParseSize("32 KB"), 32768u);
  EXPECT_EQ(ParseSize("8M"), 8388608u);
  EXPECT_EQ(ParseSize("1g"), 1073741824u);
  EXPECT_EQ(ParseSize("5b"), 5u);
  for (const char* bad : {"", "k", "-1", "1.5k", "1t", "17179869184g", "1 k b"}) {
    EXPECT_EQ(ParseSize(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseDurationMs("7", 1), 7u);
  EXPECT_EQ(ParseDurationMs("7", 1000), 7000u);
  EXPECT_EQ(ParseDurationMs("200ms", 1000), 200u);
  EXPECT_EQ(ParseDurationMs("5 s", 1), 5000u);
  EXPECT_EQ(ParseDurationMs("2m", 1), 120000u);
  EXPECT_EQ(ParseDurationMs("2min", 1), 120000u);
  EXPECT_EQ(ParseDurationMs("1H", 1), 3600000u);
  for (const char* bad : {"", "s", "1d", "-5s", "1.5s", "18446744073709551615h"}) {
    EXPECT_EQ(ParseDurationMs(bad, 1), std::nullopt) << bad;
  }
}

TEST(ConfigText, Addresses) {
  for (const char* good : {"0.0.0.0", "255.255.255.255"}) EXPECT_TRUE(IsIpv4(good)) << good;
  for (const char* bad : {"", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "::1"}) {
    EXPECT_FALSE(IsIpv4(bad)) << bad;
  }
  for (const char* good : {"::", "::1", "fe80::1", "::ffff:1.2.3.4"}) EXPECT_TRUE(IsIpv6(good));
  for (const char* bad : {"", "[::1]", "1.2.3.4", ":::", "fe80::1%eth0", "g::"}) {
    EXPECT_FALSE(IsIpv6(bad)) << bad;
  }
  EXPECT_EQ(CanonicalIp("0:0:0::1"), "::1");
  EXPECT_EQ(CanonicalIp("FE80::A"), "fe80::a");
  EXPECT_EQ(CanonicalIp("1.2.3.4"), "1.2.3.4");
  EXPECT_EQ(CanonicalIp("name"), "name");
  for (const char* loopback : {"127.0.0.1", "127.9.9.9", "::1", "0::1"}) {
    EXPECT_TRUE(IsLoopback(loopback)) << loopback;
  }
  for (const char* other : {"0.0.0.0", "::", "128.0.0.1", "127.example", ""}) {
    EXPECT_FALSE(IsLoopback(other)) << other;
  }
}

TEST(ConfigText, HostNamesAndNetworks) {
  for (const char* good : {"a", "app-1", "app_1", "a.b.c", "1a", "a.1", "example.com."}) {
    EXPECT_TRUE(IsHostName(good)) << good;
  }
  for (const char* bad :
       {"", ".", "a..b", ".a", "-a", "a-", "a b", "a/b", "10.0.0.300", "1", "a:1", "\xc3\xb6"}) {
    EXPECT_FALSE(IsHostName(bad)) << bad;
  }
  EXPECT_TRUE(IsHostName(std::string(63, 'a')));
  EXPECT_FALSE(IsHostName(std::string(64, 'a')));
  for (const char* good : {"10.0.0.0/8", "10.0.0.1", "::/0", "fe80::/128", "0.0.0.0/0"}) {
    EXPECT_TRUE(IsNetwork(good)) << good;
  }
  for (const char* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10/8", "a/8",
                          "10.0.0.0/8/8", "10.0.0.0/-1"}) {
    EXPECT_FALSE(IsNetwork(bad)) << bad;
  }
}

std::string Described(std::string_view text, bool allow_weight) {
  const Result<Endpoint> endpoint = ParseEndpoint(text, allow_weight);
  if (!endpoint) return "! " + endpoint.error().detail();
  std::string out = endpoint->is_unix ? "unix " : "";
  out += endpoint->host + " " + std::to_string(endpoint->port);
  if (endpoint->weight) out += " weight " + std::to_string(*endpoint->weight);
  return out;
}

TEST(ConfigText, Endpoints) {
  const struct {
    const char* text;
    bool allow_weight;
    const char* result;
  } kCases[] = {
      {"10.0.0.1:80", false, "10.0.0.1 80"},
      {" app:8080 ", true, "app 8080"},
      {"app:8080:50", true, "app 8080 weight 50"},
      {"[::1]:80", true, "::1 80"},
      {"[0:0::1]:80:9", true, "::1 80 weight 9"},
      {"unix:/run/a.sock", true, "unix /run/a.sock 0"},
      {"unix:/run/a.sock:7", true, "unix /run/a.sock 0 weight 7"},
      {"unix:/run/a:7", false, "unix /run/a:7 0"},
      {"", true, "! an address is empty (HOST:PORT)"},
      {"app", true, "! \"app\" has no port (HOST:PORT)"},
      {"app:", true, "! \"app:\" has no port (HOST:PORT)"},
      {"app:0", true, "! \"app:0\": port 0 is out of range (1 to 65535)"},
      {"app:65536", true, "! \"app:65536\": port 65536 is out of range (1 to 65535)"},
      {"app:http", true, "! \"app:http\" has no valid port (HOST:PORT)"},
      {"app:80:x", true, "! \"app:80:x\": weight \"x\" is out of range (1 to 65535)"},
      {"app:80:0", true, "! \"app:80:0\": weight \"0\" is out of range (1 to 65535)"},
      {"app:80:5", false, "! \"app:80:5\" is not HOST:PORT (write IPv6 as [::1]:80)"},
      {":80", true, "! \":80\": \"\" is no address and no name"},
      {"::1", true, "! \"::1\" has no port (write [::1]:80)"},
      {"[::1", true, "! \"[::1\" is not an IPv6 address in brackets ([::1]:80)"},
      {"[::1]80", true, "! \"[::1]80\" has no port (HOST:PORT)"},
      {"http://app/", true, "! \"http://app/\" is a URL (write HOST:PORT)"},
      {"unix:", true, "! \"unix:\" has no path (unix:/path)"},
      {"unix:a", true, "! \"unix:a\" is not an absolute path (unix:/path)"},
      {"unix:/a:0", true, "! \"unix:/a:0\": weight \"0\" is out of range (1 to 65535)"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Described(test.text, test.allow_weight), test.result) << test.text;
  }
  EXPECT_EQ(CheckUnixPath("/" + std::string(106, 'p')), "");
  EXPECT_EQ(CheckUnixPath("/run/a\x05" "b.sock"), "has a control character");
  EXPECT_EQ(CheckUnixPath("/" + std::string(107, 'p')),
            "is too long for a socket (at most 107 bytes)");
}

TEST(ConfigText, NearestWord) {
  const std::vector<std::string_view> words = {"round-robin", "random", "ip-hash", "reload"};
  const struct {
    const char *word, *nearest;
  } kCases[] = {
      {"round-robbin", "round-robin"},
      {"roundrobin", "round-robin"},
      {"ROUND_ROBIN", "round-robin"},
      {"randmo", "random"},
      {"rnadom", "random"},
      {"iphash", "ip-hash"},
      {"relaod", "reload"},
      {"", ""},
      {"x", ""},
      {"magic", ""},
      {"hash", ""},
      {"leastconn", ""},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(NearestWord(test.word, words), test.nearest) << test.word;
  }
  EXPECT_EQ(NearestWord("a", {}), "");
  EXPECT_EQ(NearestWord(std::string(100000, 'a'), words), "");
}

}  // namespace
}  // namespace ub
