// Heads that are refused, and what the refused client reads. None of them reaches a backend.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

struct BadHead {
  const char* what;
  std::string bytes;
  int status = 400;
};

const std::vector<BadHead>& BadHeads() {
  static const std::vector<BadHead> heads = {
      {"no HTTP at all", "nonsense\r\n\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"a version of two digits", "GET / HTTP/1.11\r\nHost: x\r\n\r\n"},
      {"a blank before the colon", "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"},
      {"a blank before the colon of Transfer-Encoding",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
      {"a folded field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"},
      {"a folded Transfer-Encoding",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
      {"bare line feeds", "GET / HTTP/1.1\nHost: x\n\n"},
      {"one bare line feed", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"},
      {"a bare carriage return", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
      {"an invalid Host", "GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n"},
      {"two Content-Lengths",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
      {"a signed Content-Length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na"},
      {"a huge Content-Length",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na"},
      {"length and chunks at once",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n"},
      {"two Transfer-Encodings",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n"
       "0\r\n\r\n"},
      {"chunks in HTTP/1.0",
       "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"a NUL in a value", std::string("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 35)},
      {"a control character in the target", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"two blanks in the request line", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"a field without a name", "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"},
  };
  return heads;
}

TEST(Malformed, HeadsAreRefusedAndNeverReachABackend) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (const auto& head : BadHeads()) {
    Client client(proxy.endpoint());
    client.Send(head.bytes);
    const Response response = client.Read();
    EXPECT_EQ(response.status, head.status) << head.what << ": " << response.Outcome();
    EXPECT_TRUE(client.ServerClosed()) << head.what << ": what follows cannot be trusted";
  }
  EXPECT_EQ(backend.accepted(), 0u);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "and the proxy goes on";
}

TEST(Malformed, UnknownCodingsAndVersionsAreRefusedToo) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (const char* bytes :
       {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n"}) {
    Client client(proxy.endpoint());
    client.Send(bytes);
    const int status = client.Read().status;
    EXPECT_TRUE(status == 400 || status == 501 || status == 505) << status << " for " << bytes;
    EXPECT_TRUE(client.ServerClosed());
  }
  EXPECT_EQ(backend.accepted(), 0u);
}

TEST(Malformed, BadHeadAfterAGoodRequestIsRefusedAfterItsAnswer) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(RequestText("POST", "/echo", "", "first") + "GET / HTTP/1.1\r\nA : b\r\n\r\n");
  EXPECT_EQ(client.Read().body, "first");
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(backend.requests(), 1u);
}

TEST(Malformed, BrokenChunksEndTheRequest) {
  for (const char* chunks : {"z\r\n", "3 3\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "-1\r\n",
                             "11111111111111111\r\n", "3\r\nabcd\r\n0\r\n\r\n"}) {
    const FakeBackend backend;
    Proxy proxy(ConfigFile().Workers(1).Backend(backend));
    ASSERT_TRUE(proxy.Start());
    Client client(proxy.endpoint());
    client.Send(
        std::string("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") +
        chunks);
    const Response response = client.Read("POST");
    EXPECT_TRUE(response.status == 400 || !response.ok()) << chunks << ": " << response.Outcome();
    EXPECT_TRUE(client.ServerClosed());
    EXPECT_TRUE(proxy.WaitIdle());
    EXPECT_EQ(backend.recorded().size(), 0u) << "a whole request arrived for " << chunks;
  }
}

TEST(Malformed, LongTarget414) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/" + std::string(8000, 'a')).status, 200);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/" + std::string(9000, 'a')).status, 414);
  EXPECT_EQ(backend.requests(), 1u);
}

TEST(Malformed, LargeHead431) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const std::string fits = "A: " + std::string(30000, 'a') + "\r\n";
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", fits).status, 200);
  const std::string large = "A: " + std::string(40000, 'a') + "\r\n";
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", large).status, 431);
  std::string many;
  for (int i = 0; i < 101; ++i) many += fmt::format("A{}: b\r\n", i);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", many).status, 431);
  EXPECT_EQ(backend.requests(), 1u);
}

TEST(Malformed, LimitsCanBeConfigured) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Set("limits", "{ header_bytes: 1k, headers: 5, uri_bytes: 64 }")
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/").status, 200);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/" + std::string(70, 'a')).status, 414);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", "A: " + std::string(1100, 'a') + "\r\n").status, 431);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n").status,
            431);
}

TEST(Malformed, SlowHead408) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Set("timeout", "{ header_ms: 300 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("GET / HTTP/1.1\r\nHost:");
  const Response response = client.Read();
  EXPECT_EQ(response.status, 408) << response.Outcome();
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(backend.accepted(), 0u);
}

TEST(Malformed, HeadThatTricklesInIsTimedAsAWhole) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Set("timeout", "{ header_ms: 400 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nA: ");
  const Deadline deadline(Millis(8000));
  while (!deadline.Passed() && !client.socket().Readable(Millis(50))) client.Send("a");
  EXPECT_EQ(client.Read().status, 408);
}

TEST(Malformed, IdleConnectionIsClosedWithoutAWord) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Set("timeout", "{ idle_ms: 1000 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(client.Read().result, ReadResult::kClosed);
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST(Malformed, ErrorPagesAreHtmlOrJsonAndCarryTheRequestId) {
  Proxy proxy(ConfigFile().Backend(BackendYaml(Endpoint::V4(FreePort()))));
  ASSERT_TRUE(proxy.Start());
  const Response html = FetchOnce(proxy.endpoint(), "/", "Accept: text/html,*/*;q=0.8\r\n");
  EXPECT_EQ(html.status, 502);
  EXPECT_TRUE(Contains(html.Value("Content-Type"), "text/html"));
  EXPECT_TRUE(Contains(html.body, "502"));
  ASSERT_NE(html.Value("X-Request-ID"), "");
  EXPECT_TRUE(Contains(html.body, html.Value("X-Request-ID"))) << html.body;

  const Response json = FetchOnce(proxy.endpoint(), "/", "Accept: application/json\r\n");
  EXPECT_EQ(json.status, 502);
  EXPECT_TRUE(Contains(json.Value("Content-Type"), "application/json"));
  const auto parsed = nlohmann::json::parse(json.body, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << json.body;
  EXPECT_TRUE(Contains(json.body, json.Value("X-Request-ID"))) << json.body;
  EXPECT_NE(json.Value("X-Request-ID"), html.Value("X-Request-ID"));

  Client client(proxy.endpoint());
  EXPECT_EQ(client.Ask("HEAD", "/").status, 502);
  EXPECT_EQ(client.Ask("HEAD", "/").status, 502)
      << "no body after HEAD, so the connection is in step";
}

}  // namespace
}  // namespace ub::itest
