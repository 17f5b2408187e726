// HTTP/2 with clients: requests and responses of every kind, bodies with back-pressure, how streams and connections end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "client.h"
#include "fake_backend.h"
#include "h2_client.h"
#include "tls_client.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

ConfigFile H2cConfig(const FakeBackend& backend) {
  return ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend);
}

TEST(Http2, RequestsPass) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const H2Response& got = client.Get("/size/1000/3");
  EXPECT_EQ(got.Outcome(), "200");
  EXPECT_EQ(got.body, Pattern(3, 1000));
  EXPECT_EQ(got.Value("content-length"), "1000");
  EXPECT_EQ(got.Value("x-request-id").size(), 32u);
  Request seen = backend.last();
  EXPECT_EQ(seen.start_line, "GET /size/1000/3 HTTP/1.1");
  EXPECT_EQ(seen.Value("Host"), "example.org");
  EXPECT_EQ(seen.Value("X-Forwarded-Proto"), "http");
  EXPECT_EQ(seen.framing, Framing::kNone);

  // A body without a length goes on in chunks, one with a length as it is.
  uint32_t stream = client.Begin(h2::Request("/echo", "POST"), false);
  EXPECT_TRUE(client.SendBody(stream, "hello"));
  EXPECT_EQ(client.Wait(stream).body, "hello");
  EXPECT_EQ(backend.last().framing, Framing::kChunked);
  stream = client.Begin(h2::Request("/echo", "POST", {{"content-length", "5"}}), false);
  EXPECT_TRUE(client.SendBody(stream, "hello"));
  EXPECT_EQ(client.Wait(stream).body, "hello");
  EXPECT_EQ(backend.last().framing, Framing::kLength);
  stream = client.Begin(h2::Request("/echo", "POST"));
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_EQ(backend.last().Value("Content-Length"), "0") << "a POST without a body says so";

  const H2Response& head = client.Wait(client.Begin(h2::Request("/size/77/1", "HEAD")));
  EXPECT_EQ(head.Outcome(), "200");
  EXPECT_EQ(head.Value("content-length"), "77");
  EXPECT_EQ(head.body, "");
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(backend.malformed(), 0u);
}

TEST(Http2, HeadersAreMadeIntoThoseOfHttp1AndBack) {
  FakeBackend backend([](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\n"
                  "Set-Cookie: b=2\r\nX-MIXED: Yes\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n");
    exchange.Close();
  });
  Proxy proxy(H2cConfig(backend).Set("forwarded", "{ via: true }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const H2Response& got = client.Wait(client.Begin(h2::Request(
      "/x?y=1", "GET", {{"cookie", "a=1"}, {"cookie", "b=2"}, {"te", "trailers"}, {"x-empty", ""}, {"host", "EXAMPLE.org:80"}})));
  EXPECT_EQ(got.Outcome(), "200");
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(got.trailers, (Fields{{"x-sum", "42"}}));
  EXPECT_EQ(got.Value("x-mixed"), "Yes");
  EXPECT_EQ(got.Value("via"), "1.1 ultrabalancer");
  for (const char* gone : {"connection", "x-hop", "keep-alive", "transfer-encoding"}) EXPECT_EQ(got.Value(gone), "") << gone;
  EXPECT_EQ(std::count_if(got.fields.begin(), got.fields.end(), [](const auto& field) { return field.first == "set-cookie"; }), 2);
  const Request seen = backend.last();
  EXPECT_EQ(seen.Values("Cookie"), (std::vector<std::string>{"a=1; b=2"}));
  EXPECT_EQ(seen.Values("Host"), (std::vector<std::string>{"example.org"}));
  EXPECT_FALSE(seen.Has("TE"));
  EXPECT_TRUE(seen.Has("X-Empty"));
  EXPECT_EQ(seen.Value("Via"), "2.0 ultrabalancer");
}

TEST(Http2, TrailersOfRequestsAndInterimResponses) {
  FakeBackend::Options options;
  options.read_bodies = false;
  options.handler = [](Exchange& exchange) {
    exchange.Send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    exchange.ReadBody([&](std::string_view piece) { exchange.request.body += piece; });
    exchange.Reply(200, exchange.request.body + exchange.request.Trailer("X-Sum"));
  };
  FakeBackend backend(options);
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/", "POST", {{"expect", "100-continue"}}), false);
  EXPECT_TRUE(WaitFor([&] { return client.ReadFrame() && client.At(stream).interim.size() == 2; }));
  EXPECT_EQ(client.At(stream).interim, (std::vector<int>{103, 100}));
  client.SendBody(stream, "body ", false);
  client.Trailers(stream, {{"x-sum", "7"}, {"cookie", "dropped"}});
  EXPECT_EQ(client.Wait(stream).body, "body 7");
  EXPECT_EQ(client.At(stream).Outcome(), "200");
}

// The head of their frame came together with the body, or all but their last field: what is known of them then is no fault.
TEST(Http2, TrailersThatComeInPieces) {
  std::atomic<size_t> taken{0};
  FakeBackend::Options options;
  options.read_bodies = false;
  options.handler = [&](Exchange& exchange) {
    std::string body;
    exchange.ReadBody([&](std::string_view piece) { taken = (body += piece).size(); });
    exchange.Reply(200, body + exchange.request.Trailer("X-Sum"));
  };
  FakeBackend backend(options);
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  for (const bool continued : {false, true}) {
    taken = 0;
    H2Client client(proxy.endpoint());
    ASSERT_TRUE(client.RoundTrip());
    const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
    const std::string block = client.Block({{"x-other", "1"}, {"x-sum", "7"}});
    const std::string trailers =
        continued ? h2::Frame(h2::kHeaders, h2::kEndStream, stream, block.substr(0, 4)) +
                        h2::Frame(h2::kContinuation, h2::kEndHeaders, stream, block.substr(4))
                  : h2::Frame(h2::kHeaders, h2::kEndStream | h2::kEndHeaders, stream, block);
    const size_t first = continued ? 9 + 4 : 9;
    client.Send(h2::Frame(h2::kData, 0, stream, "body ") + trailers.substr(0, first));
    EXPECT_TRUE(WaitFor([&] { return taken == 5; })) << continued;
    client.Send(trailers.substr(first));
    EXPECT_EQ(client.Wait(stream).Outcome(), "200") << continued;
    EXPECT_EQ(client.At(stream).body, "body 7") << continued;
  }
}

TEST(Http2, ManyStreamsAtOnceAndLargeBodies) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  std::vector<uint32_t> streams;
  for (uint64_t i = 0; i < 100; ++i) {
    streams.push_back(client.Begin(h2::Request(fmt::format("/{}/{}/{}", i % 2 == 0 ? "size" : "chunked", i * 3000, i))));
  }
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(client.Wait(streams[i]).Outcome(), "200") << i;
    EXPECT_TRUE(client.At(streams[i]).body == Pattern(i, i * 3000)) << i;
  }
  const std::string large = Pattern(9, 5'000'000);
  const uint32_t stream = client.Begin(h2::Request("/echo", "PUT"), false);
  EXPECT_TRUE(client.SendBody(stream, large));
  EXPECT_TRUE(client.Wait(stream).body == large) << client.At(stream).Outcome();
  EXPECT_EQ(proxy.segment().Connections(), 1u);
  EXPECT_EQ(proxy.Total(&ProcessRow::http2_connections), 1u);
  EXPECT_EQ(proxy.Total(&ProcessRow::http2_streams), 101u);
  EXPECT_EQ(proxy.Total(&ProcessRow::requests), 101u);
}

TEST(Http2, BothVersionsOnOneListenerAndInTheAccessLog) {
  FakeBackend backend;
  ConfigFile config = H2cConfig(backend);
  config.Listen(Endpoint::V4(FreePort()));
  TempDir dir;
  Proxy proxy(config.Set("logging", fmt::format("{{ access_log: \"{}\" }}", dir.Path("access.log"))));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(0), "/one").status, 200);
  H2Client client(proxy.endpoint(0));
  EXPECT_EQ(client.Get("/two").Outcome(), "200");
  // The preface in pieces.
  H2Client slow(proxy.endpoint(0), {.start = false});
  for (const char c : h2::kPreface) slow.Send(std::string_view(&c, 1));
  slow.SendFrame(h2::kSettings, 0, 0);
  EXPECT_EQ(slow.Get("/three").Outcome(), "200");
  // Who is not said to speak it, does not.
  H2Client refused(proxy.endpoint(1));
  EXPECT_TRUE(refused.ServerClosed());
  EXPECT_EQ(FetchOnce(proxy.endpoint(1), "/four").status, 200);
  // Nor does anything else than the whole preface begin it.
  Client other(proxy.endpoint(0));
  other.Send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  EXPECT_EQ(other.Read().status, 505);
  EXPECT_TRUE(WaitFor([&] { return Contains(ReadFile(dir.Path("access.log")), "\"GET /four HTTP/1.1\" 200"); }));
  const std::string log = ReadFile(dir.Path("access.log"));
  EXPECT_TRUE(Contains(log, "\"GET /one HTTP/1.1\" 200")) << log;
  EXPECT_TRUE(Contains(log, "\"GET /two HTTP/2.0\" 200")) << log;
  EXPECT_TRUE(Contains(log, "\"GET /three HTTP/2.0\" 200")) << log;
}

TEST(Http2, OverTlsByAlpn) {
  CertificateFiles files;
  files.Put("a", MakeCertificate({"a.example"}));
  FakeBackend backend;
  Proxy proxy(TlsConfigFile(files, "a", ", hsts_seconds: 60").Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TlsRelay relay(proxy.endpoint(), {.alpn = "h2,http/1.1"});
  H2Client client(relay.endpoint());
  EXPECT_EQ(client.Get("/size/1000000/4").Outcome(), "200");
  EXPECT_TRUE(client.Get("/size/1000000/4").body == Pattern(4, 1000000));
  EXPECT_EQ(client.Get("/").Value("strict-transport-security"), "max-age=60");
  EXPECT_EQ(backend.last().Value("X-Forwarded-Proto"), "https");
  const std::string large = Pattern(9, 2'000'000);
  const uint32_t stream = client.Begin(h2::Request("/echo", "PUT"), false);
  EXPECT_TRUE(client.SendBody(stream, large));
  EXPECT_TRUE(client.Wait(stream).body == large);
  // The server's list decides, and who asks for nothing gets HTTP/1.1.
  EXPECT_EQ(TlsClient(proxy.endpoint(), {.alpn = "http/1.1,h2"}).protocol(), "h2");
  TlsClient old(proxy.endpoint(), {});
  EXPECT_EQ(old.Get(), 200);
  // Off, it is not offered; connections that speak it already go on.
  ConfigFile off = proxy.config();
  ASSERT_TRUE(proxy.Reload(off.Set("http2", "{ enabled: false }")));
  EXPECT_EQ(TlsClient(proxy.endpoint(), {.alpn = "http/1.1,h2"}).protocol(), "http/1.1");
  EXPECT_EQ(client.Get("/").Outcome(), "200");
}

TEST(Http2, ErrorPages) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend).Set("limits", "{ uri_bytes: 100, header_bytes: 2k, headers: 20, body_bytes: 1000 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const auto ask = [&](const Fields& fields) -> const H2Response& { return client.Wait(client.Begin(fields)); };
  EXPECT_EQ(ask(h2::Request("/" + std::string(200, 'a'))).Outcome(), "414");
  EXPECT_EQ(ask(h2::Request("/", "GET", {{"x", std::string(3000, 'a')}})).Outcome(), "431");
  Fields many;
  for (int i = 0; i < 30; ++i) many.emplace_back(fmt::format("x-{}", i), "1");
  EXPECT_EQ(ask(h2::Request("/", "GET", many)).Outcome(), "431");
  EXPECT_EQ(ask({{":method", "CONNECT"}, {":authority", "example.org:443"}}).Outcome(), "405");
  EXPECT_EQ(ask(h2::Request("/", "TRACE")).Outcome(), "405");
  EXPECT_EQ(ask(h2::Request("/", "BREW")).Outcome(), "501");
  EXPECT_EQ(ask(h2::Request("/", "POST", {{"expect", "a miracle"}})).Outcome(), "417");
  EXPECT_EQ(ask(h2::Request("/", "GET", {{"x", "a\x01"}})).Outcome(), "400 reset 1") << "malformed: a stream error too";
  const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
  client.SendBody(stream, std::string(2000, 'b'), false);
  EXPECT_EQ(client.Wait(stream).Outcome(), "413") << "its rest is not waited for";
  EXPECT_NE(client.At(stream).Value("x-request-id"), "");
  EXPECT_EQ(client.At(stream).Value("content-type"), "text/html; charset=utf-8");
  EXPECT_TRUE(Contains(client.At(stream).body, "413"));
  EXPECT_EQ(client.Get("/").Outcome(), "200") << "the connection is as good as before";
  EXPECT_FALSE(client.goaway());
  backend.Stop();
  EXPECT_EQ(client.Get("/").Outcome(), "502");
}

TEST(Http2, AResponseThatIsCutIsAResetStream) {
  FakeBackend backend([](Exchange& exchange) {
    if (exchange.request.target == "/cut") {
      exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      exchange.Close();
    } else {
      FakeBackend::Serve(exchange);
    }
  });
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/cut").Outcome(), "200 reset 2");
  EXPECT_EQ(client.Get("/size/5/1").Outcome(), "200");
}

TEST(Http2, AClientThatCancelsLetsTheBackendGo) {
  Gate gate;
  std::atomic<int> gone{0};
  FakeBackend backend([&](Exchange& exchange) {
    if (exchange.request.target != "/wait") return FakeBackend::Serve(exchange);
    if (exchange.PeerGone()) ++gone;
  });
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/wait"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  client.Reset(stream);
  EXPECT_TRUE(WaitFor([&] { return gone == 1; }));
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(client.Get("/size/5/1").Outcome(), "200");
  EXPECT_EQ(proxy.Total(&ProcessRow::client_aborts), 1u);
  // The whole connection.
  client.Begin(h2::Request("/wait"));
  client.Begin(h2::Request("/wait"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 2; }));
  client.socket().Reset();
  EXPECT_TRUE(WaitFor([&] { return gone == 3; }));
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

}  // namespace
}  // namespace ub::itest
