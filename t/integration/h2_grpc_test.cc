// gRPC and WebSocket over HTTP/2: our own answers, deadlines, health checks, extended CONNECT (RFC 8441) on either side.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client.h"
#include "event/tls_digest.h"
#include "h2_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

std::string Value(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

Fields Grpc(const Fields& more = {}) {
  Fields fields = {{"content-type", "application/grpc"}, {"te", "trailers"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return h2::Request("/s.S/M", "POST", fields);
}

ConfigFile Config() { return ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1); }

TEST(H2Grpc, OurOwnAnswersAreThoseOfGrpc) {
  FakeBackend gone;
  gone.Stop();
  Proxy proxy(Config().Backend(gone.Yaml("protocol: h2")));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const H2Response& got = client.Wait(client.Begin(Grpc()));
  EXPECT_EQ(got.Outcome(), "200");
  EXPECT_EQ(got.Value("grpc-status"), "14");
  EXPECT_EQ(got.Value("grpc-message"), "Bad Gateway");
  EXPECT_EQ(got.Value("content-type"), "application/grpc");
  EXPECT_EQ(got.Value("x-request-id").size(), 32u);
  EXPECT_EQ(got.body, "");
  EXPECT_EQ(client.Get("/").Outcome(), "502") << "others get a page";
  // What never becomes a request for a backend, too.
  const std::pair<Fields, const char*> refused[] = {
      {Grpc({{"x", std::string(70'000, 'a')}}), "8"},
      {h2::Request("/s.S/M", "TRACE", {{"content-type", "application/grpc"}}), "12"},
      {h2::Request("/s.S/M", "BREW", {{"content-type", "application/grpc"}}), "12"},
  };
  for (const auto& [fields, code] : refused) {
    const H2Response& answer = client.Wait(client.Begin(fields));
    EXPECT_EQ(answer.Outcome(), "200") << code;
    EXPECT_EQ(answer.Value("grpc-status"), code);
  }
  const Fields connect = {{":method", "CONNECT"}, {":authority", "a:1"}, {"content-type", "application/grpc"}};
  EXPECT_EQ(client.Wait(client.Begin(connect)).status, 405) << "a 200 would be a tunnel";
}

TEST(H2Grpc, ADeadlineEndsTheRequestWithStatus4) {
  std::atomic<bool> reset{false};
  H2Backend backend([&](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    EXPECT_EQ(Value(peer.At(stream).fields, "grpc-timeout"), "1S");
    while (!peer.At(stream).reset && peer.ReadFrame()) {
    }
    reset = peer.At(stream).reset == h2::kCancel;
    peer.NextRequest();
  });
  Proxy proxy(Config().Backend(backend.Yaml()));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const H2Response& got = client.Wait(client.Begin(Grpc({{"grpc-timeout", "1S"}})));
  EXPECT_EQ(got.Outcome(), "200");
  EXPECT_EQ(got.Value("grpc-status"), "4");
  EXPECT_TRUE(WaitFor([&] { return reset.load(); }));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Grpc, HealthFollowsTheServiceThatIsAskedAbout) {
  std::atomic<int> serving{1};
  std::string service;
  H2Backend backend(H2Backend::Serving([&](H2Client& peer, uint32_t stream, const H2Response& request) {
    if (Value(request.fields, ":path") != "/grpc.health.v1.Health/Check") return peer.Reply(stream, 200, "ok");
    service = request.body;
    if (serving == 12) return peer.Head(stream, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "12"}}, true);
    peer.Reply(stream, 200, std::string("\0\0\0\0\2\x08", 6) + static_cast<char>(serving.load()), {{"content-type", "application/grpc"}},
               {{"grpc-status", "0"}});
  }));
  Proxy proxy(Config().Backend(backend.Yaml()).Set(
      "health_check", "{ type: grpc, grpc_service: a.B, interval_ms: 20, timeout_ms: 5000, max_failures: 2, min_successes: 1 }"));
  ASSERT_TRUE(proxy.Start());
  const auto health = [&] { return static_cast<HealthState>(proxy.segment().slot(0).health.load()); };
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kUp; })) << proxy.Log();
  EXPECT_EQ(service, std::string("\0\0\0\0\5\x0a\3a.B", 10));
  serving = 2;
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kDown; }));
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "health NOT_SERVING"); })) << proxy.Log();
  serving = 1;
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kUp; }));
  serving = 12;
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kDown; }));
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "no health service"); })) << proxy.Log();
}

TEST(H2Grpc, ChecksByHttpGoByHttp2ToWhoSpeaksIt) {
  std::atomic<int> status{200};
  H2Backend backend(H2Backend::Serving([&](H2Client& peer, uint32_t stream, const H2Response&) {
    peer.Head(stream, {{":status", std::to_string(status)}});
    peer.SendBody(stream, std::string(100'000, 'w') + "we", false);  // more than is read in a turn
    peer.SendBody(stream, "ll");
  }));
  Proxy proxy(Config().Backend(backend.Yaml()).Set(
      "health_check", "{ path: /up, method: GET, expected_body: well, interval_ms: 20, timeout_ms: 5000, max_failures: 1, min_successes: 1 }"));
  ASSERT_TRUE(proxy.Start());
  const auto health = [&] { return static_cast<HealthState>(proxy.segment().slot(0).health.load()); };
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kUp; })) << proxy.Log();
  status = 500;
  EXPECT_TRUE(WaitFor([&] { return health() == HealthState::kDown; })) << proxy.Log();
}

Fields Connect() {
  return {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", "/ws"}, {":authority", "example.org"},
          {"sec-websocket-version", "13"}, {"sec-websocket-protocol", "chat"}};
}

// Takes a 101 and sends back what comes.
void EchoTunnel(Exchange& exchange) {
  exchange.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
                WebSocketAccept(exchange.request.Value("Sec-WebSocket-Key")) +
                "\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello");
  std::string got;
  while (exchange.socket().Receive(&got) == Io::kOk) {
    exchange.socket().Send(got);
    got.clear();
  }
  exchange.socket().Send("bye");
  exchange.Close();
}

TEST(H2Connect, AClientsWebSocketReachesABackendOfHttp1) {
  FakeBackend backend(EchoTunnel);
  Proxy proxy(Config().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(Connect(), false);
  while (client.At(stream).body.size() < 5) ASSERT_TRUE(client.ReadFrame());
  EXPECT_EQ(client.setting(8), 1u);
  const H2Response& got = client.At(stream);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.Value("sec-websocket-protocol"), "chat");
  for (const char* gone : {"sec-websocket-accept", "upgrade", "connection"}) EXPECT_EQ(got.Value(gone), "") << gone;
  const Request seen = backend.last();
  EXPECT_EQ(seen.start_line, "GET /ws HTTP/1.1");
  EXPECT_EQ(seen.Value("Upgrade"), "websocket");
  EXPECT_EQ(seen.Value("Sec-WebSocket-Key").size(), 24u);
  EXPECT_EQ(seen.Value("Host"), "example.org");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.SendBody(stream, "ping", false));
    while (client.At(stream).body.size() < 9u + static_cast<size_t>(i) * 4) ASSERT_TRUE(client.ReadFrame());
  }
  ASSERT_TRUE(client.SendBody(stream, "", true));
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_TRUE(got.body.ends_with("pingbye"));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Connect, WhatIsNoTunnelIsNotCalledOne) {
  FakeBackend backend;  // answers 200 to anything
  Proxy proxy(Config().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Wait(client.Begin(Connect(), false)).status, 502);
  Fields other = Connect();
  other[1].second = "other";
  EXPECT_EQ(client.Wait(client.Begin(other, false)).status, 501);
  EXPECT_EQ(client.Wait(client.Begin({{":method", "CONNECT"}, {":authority", "a:1"}}, false)).status, 405);
  EXPECT_TRUE(proxy.WaitIdle());
}

// The client cannot check it: it sent no key.
TEST(H2Connect, A101ThatDoesNotAnswerTheKeyIsRefused) {
  for (const std::string accept : {"", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "Sec-WebSocket-Accept:\r\n"}) {
    FakeBackend backend([&](Exchange& exchange) {
      exchange.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + accept + "\r\nhello");
      EXPECT_TRUE(exchange.PeerGone());
    });
    Proxy proxy(Config().Backend(backend));
    ASSERT_TRUE(proxy.Start());
    H2Client client(proxy.endpoint());
    EXPECT_EQ(client.Wait(client.Begin(Connect(), false)).status, 502) << accept;
    EXPECT_TRUE(proxy.WaitIdle());
    EXPECT_TRUE(Contains(proxy.Log(), "its Sec-WebSocket-Accept does not answer the request")) << proxy.Log();
  }
}

H2Backend::Connection EchoStreams() {
  return [](H2Client& peer) {
    while (const uint32_t stream = peer.NextRequest()) {
      peer.Head(stream, {{":status", "200"}, {"sec-websocket-protocol", Value(peer.At(stream).fields, ":protocol")}});
      size_t told = 0;
      while (!peer.At(stream).over()) {
        if (!peer.ReadFrame()) return;
        const std::string piece = peer.At(stream).body.substr(told);
        told += piece.size();
        if (!piece.empty()) peer.SendBody(stream, piece, false);
      }
      if (peer.At(stream).ended) peer.SendBody(stream, "bye", true);
    }
  };
}

TEST(H2Connect, AnUpgradeOfHttp1BecomesAConnectToABackendOfHttp2) {
  H2Backend backend(EchoStreams(), H2Backend::Setting(8, 1));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend.Yaml()));
  ASSERT_TRUE(proxy.Start());
  Socket client = Socket::Connect(proxy.endpoint());
  client.Send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  std::string got;
  while (!Contains(got, "\r\n\r\n")) ASSERT_EQ(client.Receive(&got), Io::kOk);
  EXPECT_TRUE(got.starts_with("HTTP/1.1 101 ")) << got;
  EXPECT_TRUE(Contains(got, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) << got;
  EXPECT_TRUE(Contains(got, "websocket")) << got;
  got.clear();
  client.Send("ping");
  while (got != "ping") ASSERT_EQ(client.Receive(&got), Io::kOk);
  client.ShutdownWrite();
  while (client.Receive(&got) == Io::kOk) {
  }
  EXPECT_EQ(got, "pingbye");
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Connect, FromHttp2ToHttp2) {
  H2Backend backend(EchoStreams(), H2Backend::Setting(8, 1));
  Proxy proxy(Config().Backend(backend.Yaml()));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(Connect(), false);
  const std::string big = Pattern(1, 300000);
  ASSERT_TRUE(client.SendBody(stream, big, true));
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_TRUE(client.At(stream).body == big + "bye");
  EXPECT_TRUE(proxy.WaitIdle());
  // One that breaks off ends the backend's.
  const uint32_t cut = client.Begin(Connect(), false);
  while (client.At(cut).status == 0) ASSERT_TRUE(client.ReadFrame());
  client.Reset(cut);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Connect, ABackendThatDoesNotAnnounceItIsA502) {
  H2Backend backend(EchoStreams());
  const char* const breaker = "{ enabled: false, circuit_breaker: { failure_threshold: 5 } }";
  Proxy proxy(ConfigFile().Workers(1).Backend(backend.Yaml()).Set("health_check", breaker));
  ASSERT_TRUE(proxy.Start());
  const char* const fields =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  // As often as a client likes: it is no failure of the backend.
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Client(proxy.endpoint()).Ask("GET", "/ws", fields).status, 502);
  }
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "RFC 8441"); })) << proxy.Log();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(proxy.segment().counters(0, 0).failures.load(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
}

}  // namespace
}  // namespace ub::itest
