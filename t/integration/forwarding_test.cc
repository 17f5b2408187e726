// What the proxy changes in heads on their way, and what it leaves alone.
#include <gtest/gtest.h>

#include <set>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

TEST(Forwarding, TellsTheBackendWhoTheClientIs) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/path?query=1").status, 200);
  const Request seen = backend.last();
  EXPECT_EQ(seen.start_line, "GET /path?query=1 HTTP/1.1");
  EXPECT_EQ(seen.Values("Host"), std::vector<std::string>{"test.example"});
  EXPECT_EQ(seen.Values("X-Forwarded-For"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(seen.Values("X-Real-IP"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(seen.Values("X-Forwarded-Proto"), std::vector<std::string>{"http"});
  EXPECT_EQ(seen.Values("X-Forwarded-Host"), std::vector<std::string>{"test.example"});
  EXPECT_EQ(seen.Values("X-Request-ID").size(), 1u);
}

TEST(Forwarding, EveryRequestHasAnIdOfItsOwn) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(2).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 20; ++i) {
    Client client(proxy.endpoint());
    for (int j = 0; j < 5; ++j) EXPECT_EQ(client.Get().status, 200);
  }
  std::set<std::string> ids;
  for (const auto& request : backend.recorded()) ids.insert(request.Value("X-Request-ID"));
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_FALSE(ids.contains(""));
}

TEST(Forwarding, ClaimsOfAnUntrustedPeerAreReplaced) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const Response response =
      FetchOnce(proxy.endpoint(), "/",
                "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Real-IP: 6.6.6.6\r\n"
                "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"
                "Forwarded: for=6.6.6.6\r\n");
  EXPECT_EQ(response.status, 200);
  const Request seen = backend.last();
  EXPECT_EQ(seen.Values("X-Forwarded-For"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(seen.Values("X-Real-IP"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(seen.Values("X-Forwarded-Proto"), std::vector<std::string>{"http"});
  EXPECT_EQ(seen.Values("X-Forwarded-Host"), std::vector<std::string>{"test.example"});
  EXPECT_FALSE(Contains(seen.raw_head, "6.6.6.6")) << seen.raw_head;
}

TEST(Forwarding, HopByHopFieldsOfRequestsStayHere) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const Response response = FetchOnce(
      proxy.endpoint(), "/",
      "Connection: X-Secret , keep-alive\r\nConnection: X-Other\r\nX-Secret: 1\r\nx-other: 2\r\n"
      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h9\r\n"
      "X-Stays: yes\r\nCookie: a=b\r\nAuthorization: Basic eA==\r\n");
  EXPECT_EQ(response.status, 200) << response.Outcome();
  const Request seen = backend.last();
  for (const char* name :
       {"X-Secret", "X-Other", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade"}) {
    EXPECT_FALSE(seen.Has(name)) << name;
  }
  EXPECT_FALSE(seen.HasToken("Connection", "X-Secret"));
  EXPECT_EQ(seen.Value("X-Stays"), "yes");
  EXPECT_EQ(seen.Value("Cookie"), "a=b");
  EXPECT_EQ(seen.Value("Authorization"), "Basic eA==");
}

TEST(Forwarding, HopByHopFieldsOfResponsesStayHere) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Reply(200, "body",
                   "Connection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\n"
                   "Proxy-Connection: keep-alive\r\nX-Stays: yes\r\nSet-Cookie: a=1\r\n"
                   "Set-Cookie: b=2\r\nServer: inner\r\n");
  });
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const Response response = client.Get();
  ASSERT_EQ(response.status, 200) << response.Outcome();
  for (const char* name : {"X-Inner", "Keep-Alive", "Proxy-Connection"}) {
    EXPECT_FALSE(response.Has(name)) << name;
  }
  EXPECT_FALSE(response.HasToken("Connection", "X-Inner"));
  EXPECT_FALSE(response.HasToken("Connection", "close"));
  EXPECT_EQ(response.Value("X-Stays"), "yes");
  EXPECT_EQ(response.Value("Server"), "inner");
  EXPECT_EQ(response.Values("Set-Cookie"), (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(client.Get().status, 200) << "the connection is kept";
}

TEST(Forwarding, FramingFieldsCannotBeRemovedByNamingThemInConnection) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const Response response = client.Ask(
      "POST", "/echo", "Connection: Content-Length, Host, X-Forwarded-For\r\n", "GET / x");
  ASSERT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, "GET / x");
  EXPECT_EQ(backend.last().Value("Host"), "test.example");
  EXPECT_EQ(backend.last().Value("X-Forwarded-For"), "127.0.0.1");
}

TEST(Forwarding, AbsoluteFormIsCutDownAndItsAuthorityWins) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("GET http://other.example/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(backend.last().target, "/a?b");
  EXPECT_EQ(backend.last().Value("Host"), "other.example");
}

TEST(Forwarding, EveryMethodPassesThrough) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}) {
    const Response response = client.Ask(method, "/thing");
    EXPECT_EQ(response.status, 200) << method << " " << response.Outcome();
    EXPECT_EQ(backend.last().method, method);
  }
}

// RFC 9110 section 6.6.1.
TEST(Forwarding, AResponseWithoutADateGetsOne) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Reply(200, "", exchange.request.target == "/own" ? "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" : "");
  });
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const Response given = FetchOnce(proxy.endpoint());
  ASSERT_EQ(given.Values("Date").size(), 1u);
  EXPECT_TRUE(given.Value("Date").ends_with(" GMT")) << given.Value("Date");
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/own").Values("Date"), std::vector<std::string>{"Sun, 06 Nov 1994 08:49:37 GMT"});
}

TEST(Forwarding, OptionsThatMayGoNoFurtherAreAnsweredHere) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Ask("OPTIONS", "/", "Max-Forwards: 0\r\n").status, 200);
  EXPECT_EQ(backend.requests(), 0u);
  EXPECT_EQ(client.Ask("OPTIONS", "/", "Max-Forwards: 3\r\n").status, 200);
  EXPECT_EQ(backend.last().Value("Max-Forwards"), "2");
}

TEST(Forwarding, XForwardedFieldsCanBeTurnedOff) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Set("forwarded", "{ x_forwarded: false, x_request_id: false }")
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", "X-Request-ID: mine\r\n").status, 200);
  EXPECT_FALSE(backend.last().Has("X-Forwarded-For"));
  EXPECT_FALSE(backend.last().Has("X-Real-IP"));
  EXPECT_EQ(backend.last().Value("X-Request-ID"), "mine");
}

}  // namespace
}  // namespace ub::itest
