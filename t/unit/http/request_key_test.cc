#include "http/request_key.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

RequestHead Head(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  RequestHead head;
  head.target = "/shop?item=1";
  for (const auto& [name, value] : fields) head.headers.push_back({name, value, HeaderIdOf(name)});
  return head;
}

PeerAddress Client(std::string_view text) { return PeerAddress::Parse(text).value(); }

TEST(RequestKey, EachKindTakesItsPart) {
  const RequestHead head = Head({{"X-Tenant", "blue"}, {"Cookie", "a=1; session=xyz; b=2"}});
  const PeerAddress client = Client("192.0.2.1");
  EXPECT_EQ(RequestKey("client_ip").Of(head, client), client.bytes());
  EXPECT_EQ(RequestKey("header:x-tenant").Of(head, client), "blue");
  EXPECT_EQ(RequestKey("cookie:session").Of(head, client), "xyz");
  EXPECT_EQ(RequestKey("uri").Of(head, client), "/shop?item=1");
  EXPECT_TRUE(RequestKey("client_ip").is_client_ip());
  EXPECT_FALSE(RequestKey("uri").is_client_ip());
}

TEST(RequestKey, AMissingHeaderOrCookieLeavesTheClient) {
  const RequestHead head = Head({{"X-Tenant", ""}, {"Cookie", "session="}});
  const PeerAddress client = Client("2001:db8::1");
  EXPECT_EQ(RequestKey("header:X-Tenant").Of(head, client), client.bytes());
  EXPECT_EQ(RequestKey("header:X-Other").Of(head, client), client.bytes());
  EXPECT_EQ(RequestKey("cookie:session").Of(head, client), client.bytes());
}

TEST(RequestKey, HashFollowsTheKeyAlone) {
  const PeerAddress a = Client("192.0.2.1:1000"), same = Client("192.0.2.1:2000"), b = Client("192.0.2.2");
  const RequestHead head = Head({});
  const RequestKey key("client_ip");
  EXPECT_EQ(key.Hash(head, a), key.Hash(head, same));
  EXPECT_NE(key.Hash(head, a), key.Hash(head, b));
}

TEST(FindCookie, FindsWholeNamesOnly) {
  const RequestHead head =
      Head({{"Cookie", "xid=no; idx=no;id=first"}, {"Cookie", "id=second; last=\"quoted; no\""}});
  EXPECT_EQ(FindCookie(head.headers, "id"), "first");
  EXPECT_EQ(FindCookie(head.headers, "idx"), "no");
  EXPECT_EQ(FindCookie(head.headers, "ID"), "");
  EXPECT_EQ(FindCookie(head.headers, "none"), "");
  EXPECT_EQ(FindCookie(Head({{"Cookie", "flag; =x; ;id"}}).headers, "id"), "");
}

}  // namespace
}  // namespace ub
