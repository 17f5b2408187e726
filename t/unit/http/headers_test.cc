#include "http/headers.h"

#include <cctype>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "http/authority.h"

namespace ub {
namespace {

struct Known {
  std::string_view name;
  HeaderId id;
};

constexpr Known kKnown[] = {
    {"Accept", HeaderId::kAccept},
    {"Connection", HeaderId::kConnection},
    {"Content-Length", HeaderId::kContentLength},
    {"Content-Type", HeaderId::kContentType},
    {"Cookie", HeaderId::kCookie},
    {"Date", HeaderId::kDate},
    {"Expect", HeaderId::kExpect},
    {"Forwarded", HeaderId::kForwarded},
    {"Host", HeaderId::kHost},
    {"HTTP2-Settings", HeaderId::kHttp2Settings},
    {"Keep-Alive", HeaderId::kKeepAlive},
    {"Proxy-Connection", HeaderId::kProxyConnection},
    {"TE", HeaderId::kTe},
    {"Transfer-Encoding", HeaderId::kTransferEncoding},
    {"Upgrade", HeaderId::kUpgrade},
    {"X-Forwarded-For", HeaderId::kXForwardedFor},
    {"X-Forwarded-Host", HeaderId::kXForwardedHost},
    {"X-Forwarded-Proto", HeaderId::kXForwardedProto},
    {"X-Real-IP", HeaderId::kXRealIp},
    {"X-Request-ID", HeaderId::kXRequestId},
};

TEST(Headers, EveryKnownNameHasItsIdInAnyCase) {
  // All of the enumeration but kOther.
  EXPECT_EQ(std::size(kKnown), static_cast<size_t>(HeaderId::kXRequestId));
  for (const Known& known : kKnown) {
    std::string lower(known.name);
    std::string upper(known.name);
    for (size_t i = 0; i < lower.size(); ++i) {
      lower[i] = static_cast<char>(tolower(lower[i]));
      upper[i] = static_cast<char>(toupper(upper[i]));
    }
    EXPECT_EQ(HeaderIdOf(known.name), known.id) << known.name;
    EXPECT_EQ(HeaderIdOf(lower), known.id) << lower;
    EXPECT_EQ(HeaderIdOf(upper), known.id) << upper;
  }
}

TEST(Headers, NamesThatAreNearlyKnownAreNot) {
  EXPECT_EQ(HeaderIdOf(""), HeaderId::kOther);
  for (const Known& known : kKnown) {
    const std::string name(known.name);
    EXPECT_EQ(HeaderIdOf(name + "x"), HeaderId::kOther) << name;
    EXPECT_EQ(HeaderIdOf(name.substr(1)), HeaderId::kOther) << name;
    EXPECT_EQ(HeaderIdOf(name.substr(0, name.size() - 1)), HeaderId::kOther) << name;
    for (size_t i = 0; i < name.size(); ++i) {
      // Bits flipped one by one: only that of the case, and only of a letter, may leave the id.
      for (int bit = 0; bit < 8; ++bit) {
        std::string other = name;
        other[i] = static_cast<char>(other[i] ^ (1 << bit));
        const bool same = bit == 5 && isalpha(static_cast<unsigned char>(name[i])) != 0;
        EXPECT_EQ(HeaderIdOf(other) == known.id, same) << name << " at " << i << ", bit " << bit;
      }
    }
  }
}

TEST(Headers, ComparesWithoutCaseInAsciiOnly) {
  EXPECT_TRUE(EqualsIgnoreCase("", ""));
  EXPECT_TRUE(EqualsIgnoreCase("Ab-9", "aB-9"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("ab", "ac"));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
  EXPECT_FALSE(EqualsIgnoreCase("\xc9", "\xe9"));
}

TEST(Headers, FindsTokensInLists) {
  EXPECT_TRUE(ListHasToken("close", "close"));
  EXPECT_TRUE(ListHasToken("a, CLOSE ,b", "close"));
  EXPECT_TRUE(ListHasToken(",,\tclose\t,", "close"));
  EXPECT_FALSE(ListHasToken("", "close"));
  EXPECT_FALSE(ListHasToken("closed", "close"));
  EXPECT_FALSE(ListHasToken("not close", "close"));
  EXPECT_FALSE(ListHasToken("clos,e", "close"));
}

TEST(Headers, FindsTheFirstField) {
  const HeaderList headers = {
      {"X-A", "1", HeaderId::kOther},
      {"Host", "a", HeaderId::kHost},
      {"x-a", "2", HeaderId::kOther},
      {"host", "b", HeaderId::kHost},
  };
  ASSERT_NE(FindHeader(headers, HeaderId::kHost), nullptr);
  EXPECT_EQ(FindHeader(headers, HeaderId::kHost)->value, "a");
  ASSERT_NE(FindHeader(headers, "x-A"), nullptr);
  EXPECT_EQ(FindHeader(headers, "x-A")->value, "1");
  EXPECT_EQ(FindHeader(headers, HeaderId::kTe), nullptr);
  EXPECT_EQ(FindHeader(headers, "X"), nullptr);
}

TEST(Headers, KnowsTokens) {
  EXPECT_TRUE(IsToken("!#$%&'*+-.^_`|~09azAZ"));
  EXPECT_FALSE(IsToken(""));
  for (char c : std::string_view("\0 \t\r\n\x7f\x80\xff\"(),/:;<=>?@[\\]{}", 24)) {
    EXPECT_FALSE(IsToken(std::string("a") + c)) << static_cast<int>(c);
  }
}

TEST(Authority, SamePortsMayBeLeftOut) {
  EXPECT_TRUE(SameAuthority("a", "A:80", false));
  EXPECT_TRUE(SameAuthority("a:", "a", false));
  EXPECT_TRUE(SameAuthority("a:443", "a", true));
  EXPECT_TRUE(SameAuthority("[::1]", "[::1]:80", false));
  EXPECT_FALSE(SameAuthority("a", "a:443", false));
  EXPECT_FALSE(SameAuthority("a", "b", false));
  EXPECT_FALSE(SameAuthority("a", "", false));
}

TEST(Authority, HostsAreBounded) {
  EXPECT_TRUE(IsValidAuthority(std::string(255, 'a')));
  EXPECT_TRUE(IsValidAuthority(std::string(255, 'a') + ":80"));
  EXPECT_FALSE(IsValidAuthority(std::string(256, 'a')));
}

}  // namespace
}  // namespace ub
