// Upgrades: what a backend accepts with 101 becomes a tunnel; everything else stays HTTP.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "proxy.h"
#include "tunnel.h"

namespace ub::itest {
namespace {

TEST(Upgrade, CarriesBytesBothWaysAndPassesHalfClosesOn) {
  Gate client_ended;
  std::string seen;
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request& request) {
    EXPECT_EQ(request.Values("Upgrade"), std::vector<std::string>{"websocket"});
    EXPECT_EQ(request.Values("Connection"), std::vector<std::string>{"upgrade"});
    EXPECT_EQ(request.Value("Sec-WebSocket-Key"), "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_EQ(request.Value("Sec-WebSocket-Version"), "13");
    EXPECT_EQ(request.Value("X-Forwarded-For"), "127.0.0.1");
    EXPECT_EQ(end.Read(4), "ping");
    end.Send("pong");
    EXPECT_EQ(end.End(), Io::kEnd);
    client_ended.Open();
    end.Send("last words");
  }));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open()) << tunnel.response().Outcome();
  EXPECT_EQ(tunnel.response().Value("Upgrade"), "websocket");
  EXPECT_TRUE(tunnel.response().HasToken("Connection", "upgrade"));
  EXPECT_EQ(tunnel.response().Value("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(proxy.InFlight(), 1u);
  tunnel.end().Send("ping");
  EXPECT_EQ(tunnel.end().Read(4), "pong");
  tunnel.client().socket().ShutdownWrite();
  EXPECT_TRUE(client_ended.Wait()) << "the half-close is passed on";
  EXPECT_EQ(tunnel.end().Read(10), "last words") << "the other direction is still open";
  EXPECT_EQ(tunnel.end().End(), Io::kEnd);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  uint64_t switched = 0, requests = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r) {
    switched += proxy.segment().row(r).responses[1].load();
    requests += proxy.segment().row(r).requests.load();
  }
  EXPECT_EQ(switched, 1u);
  EXPECT_EQ(requests, 1u);
}

TEST(Upgrade, BackendMayEndItsDirectionFirst) {
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request&) {
    end.Send("bye");
    end.socket().ShutdownWrite();
    EXPECT_EQ(end.Read(5), "later");
    EXPECT_EQ(end.End(), Io::kEnd);
  }));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  EXPECT_EQ(tunnel.end().Read(3), "bye");
  EXPECT_EQ(tunnel.end().End(), Io::kEnd);
  EXPECT_EQ(proxy.InFlight(), 1u);
  tunnel.end().Send("later");
  tunnel.client().socket().ShutdownWrite();
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Upgrade, BytesThatCameWithEitherHeadAreNotLost) {
  const FakeBackend backend(SwitchingBackend(
      [&](TunnelEnd& end, const Request&) {
        EXPECT_EQ(end.Read(11), "early clien");
        EXPECT_EQ(end.Read(1), "t");
        Echo(end);
      },
      "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nearly backend"));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint(), "early client");
  ASSERT_TRUE(tunnel.open());
  EXPECT_EQ(tunnel.end().Read(13), "early backend");
  tunnel.end().Send("x");
  EXPECT_EQ(tunnel.end().Read(1), "x");
}

TEST(Upgrade, OtherAnswersAreOrdinaryResponses) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Reply(exchange.request.Has("Upgrade") ? 403 : 200, exchange.request.target);
  });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  // What lies behind the first request is held back until it is known not to be a tunnel's.
  client.Send(RequestText("GET", "/a", kWebSocketFields) + RequestText("GET", "/b"));
  const Response refused = client.Read();
  EXPECT_EQ(refused.status, 403) << refused.Outcome();
  EXPECT_FALSE(refused.Has("Upgrade"));
  const Response next = client.Read();
  EXPECT_EQ(next.status, 200) << next.Outcome();
  EXPECT_EQ(next.body, "/b");
}

TEST(Upgrade, IsAskedForOnlyWhereItCanBe) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const std::string upgrade(kWebSocketFields);
  const std::string requests[] = {
      "POST / HTTP/1.1\r\nHost: a\r\n" + upgrade + "Content-Length: 1\r\n\r\nx",
      "POST / HTTP/1.1\r\nHost: a\r\n" + upgrade + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: a\r\n" + upgrade + "\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
  };
  for (const std::string& request : requests) {
    SCOPED_TRACE(request);
    Client client(proxy.endpoint());
    client.Send(request);
    EXPECT_EQ(client.Read().status, 200);
    const Request seen = backend.last();
    EXPECT_FALSE(seen.Has("Upgrade"));
    EXPECT_FALSE(seen.Has("HTTP2-Settings"));
    EXPECT_FALSE(seen.HasToken("Connection", "upgrade"));
  }
}

TEST(Upgrade, Unfit101Is502) {
  const struct {
    const char* answer;
    std::string_view fields;
  } cases[] = {
      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", kWebSocketFields},
      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket, other\r\n\r\n",
       kWebSocketFields},
      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", kWebSocketFields},
      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
       kWebSocketFields},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.answer);
    const FakeBackend backend(
        SwitchingBackend([](TunnelEnd& end, const Request&) { end.End(); }, each.answer));
    Proxy proxy(ConfigFile().Workers(1).Backend(backend));
    ASSERT_TRUE(proxy.Start());
    TunnelClient tunnel(proxy.endpoint(), "", each.fields);
    EXPECT_EQ(tunnel.response().status, 502) << tunnel.response().Outcome();
    EXPECT_TRUE(proxy.WaitIdle());
  }
}

// Bytes of the pattern go into one end for as long as anybody takes them; the sum that was taken.
uint64_t PumpUntilStuck(Socket& socket, uint64_t seed) {
  uint64_t sent = 0;
  std::vector<char> piece(64 * 1024);
  const auto push = [&] {
    FillPattern(seed, sent, piece.data(), piece.size());
    const size_t took = socket.SendSome({piece.data(), piece.size()});
    sent += took;
    return took > 0;
  };
  // Stuck is: nothing taken for half a second.
  while (WaitFor(push, Millis(static_cast<int>(500 / TimeFactor())))) {
    if (sent > (uint64_t{256} << 20)) return sent;
  }
  return sent;
}

bool ReadPattern(TunnelEnd& end, uint64_t seed, uint64_t bytes) {
  PatternCheck check(seed);
  while (check.bytes() < bytes) {
    const std::string piece = end.Read(std::min<uint64_t>(bytes - check.bytes(), 64 * 1024));
    if (piece.empty()) return false;
    check.Feed(piece);
  }
  return check.intact();
}

TEST(Upgrade, SlowReadersSlowTheOtherSideDown) {
  Gate client_stuck, backend_may_read;
  std::atomic<uint64_t> from_client{0}, from_backend{0};
  Gate backend_stuck;
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request&) {
    from_backend = PumpUntilStuck(end.socket(), 2);
    backend_stuck.Open();
    backend_may_read.Wait();
    EXPECT_TRUE(ReadPattern(end, 1, from_client));
  }));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const uint64_t before = proxy.LargestWorkerRss();
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  ASSERT_TRUE(backend_stuck.Wait());
  from_client = PumpUntilStuck(tunnel.client().socket(), 1);
  EXPECT_LT(from_client, uint64_t{256} << 20) << "the proxy swallows whatever is sent";
  EXPECT_LT(from_backend, uint64_t{256} << 20);
  EXPECT_LT(proxy.LargestWorkerRss(), before + (uint64_t{Instrumented() ? 32u : 4u} << 20));
  backend_may_read.Open();
  EXPECT_TRUE(ReadPattern(tunnel.end(), 2, from_backend));
  EXPECT_EQ(tunnel.end().End(), Io::kEnd);
  tunnel.client().socket().ShutdownWrite();
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Upgrade, WhatTheBackendHasNotTakenSurvivesTheEndOfBothDirections) {
  Gate client_done;
  uint64_t sent = 0;
  std::atomic<bool> intact{false};
  Gate checked;
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request&) {
    end.socket().ShutdownWrite();
    client_done.Wait();
    intact = ReadPattern(end, 3, sent) && end.End() == Io::kEnd;
    checked.Open();
  }));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  EXPECT_EQ(tunnel.end().End(), Io::kEnd);
  sent = PumpUntilStuck(tunnel.client().socket(), 3);
  tunnel.client().socket().ShutdownWrite();
  client_done.Open();
  EXPECT_TRUE(checked.Wait());
  EXPECT_TRUE(intact);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Upgrade, SilenceEndsATunnelAndAnyByteEitherWayPutsItOff) {
  constexpr int kSent = 20;  // takes longer than the silence that is allowed
  Gate closed;
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request&) {
    // The client is silent; then the backend is.
    for (int i = 0; i < kSent; ++i) {
      std::this_thread::sleep_for(Millis(100));
      end.Send("b");
    }
    EXPECT_EQ(end.Read(kSent), std::string(kSent, 'c'));
    EXPECT_NE(end.End(), Io::kTimeout);
    closed.Open();
  }));
  Proxy proxy(ConfigFile().Workers(1).Set("timeout", "{ idle_ms: 1500 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  EXPECT_EQ(tunnel.end().Read(kSent), std::string(kSent, 'b'));
  for (int i = 0; i < kSent; ++i) {
    std::this_thread::sleep_for(Millis(100));
    tunnel.end().Send("c");
  }
  EXPECT_EQ(proxy.InFlight(), 1u);
  EXPECT_NE(tunnel.end().End(), Io::kTimeout);
  EXPECT_TRUE(closed.Wait());
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Upgrade, BackendThatTakesNothingIsGivenUp) {
  Gate over;
  const FakeBackend backend(
      SwitchingBackend([&](TunnelEnd&, const Request&) { over.Wait(Millis(60000)); }));
  Proxy proxy(ConfigFile().Workers(1).Set("timeout", "{ idle_ms: 500 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  PumpUntilStuck(tunnel.client().socket(), 1);
  EXPECT_NE(tunnel.client().socket().WaitClosed(), Io::kTimeout);
  EXPECT_TRUE(proxy.WaitIdle());
  over.Open();
}

TEST(Upgrade, ResetsArePassedOn) {
  Gate arrived, seen;
  std::atomic<Io> how{Io::kOk};
  const FakeBackend backend(SwitchingBackend([&](TunnelEnd& end, const Request&) {
    const std::string order = end.Read(5);
    if (order == "reset") return end.socket().Reset();
    arrived.Open();
    how = end.End();
    seen.Open();
  }));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  {
    TunnelClient tunnel(proxy.endpoint());
    ASSERT_TRUE(tunnel.open());
    tunnel.end().Send("reset");
    EXPECT_EQ(tunnel.end().End(), Io::kReset);
    EXPECT_TRUE(proxy.WaitIdle());
  }
  {
    TunnelClient tunnel(proxy.endpoint());
    ASSERT_TRUE(tunnel.open());
    tunnel.end().Send("wait!");
    ASSERT_TRUE(arrived.Wait());  // a reset overtakes what was not yet read
    tunnel.client().socket().Reset();
    EXPECT_TRUE(seen.Wait());
    EXPECT_EQ(how, Io::kReset);
    EXPECT_TRUE(proxy.WaitIdle());
  }
}

TEST(Upgrade, IsNeverSentTwiceAndNeverOnAUsedConnection) {
  const FakeBackend broken([](Exchange& exchange) {
    if (exchange.request.Has("Upgrade")) return exchange.Reset();
    FakeBackend::Serve(exchange);
  });
  Proxy proxy(ConfigFile().Workers(1).Set("retry", "{ max_attempts: 5 }").Backend(broken));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  TunnelClient tunnel(proxy.endpoint());
  EXPECT_EQ(tunnel.response().status, 502);
  EXPECT_EQ(broken.requests(), 2u);
  EXPECT_EQ(broken.accepted(), 2u) << "the pooled connection was left alone";
}

TEST(Upgrade, RefusedConnectionGoesToTheNextBackend) {
  const FakeBackend backend(SwitchingBackend([](TunnelEnd& end, const Request&) { Echo(end); }));
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Backend(BackendYaml(Endpoint::V4(FreePort())))
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 2; ++i) {
    TunnelClient tunnel(proxy.endpoint());
    EXPECT_TRUE(tunnel.open()) << tunnel.response().Outcome();
  }
}

TEST(Upgrade, SurvivesAReloadAndIsDrainedByTheDeadline) {
  const FakeBackend backend(SwitchingBackend([](TunnelEnd& end, const Request&) { Echo(end); }));
  ConfigFile config =
      ConfigFile().Workers(2).Set("timeout", "{ drain_ms: 700 }").Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  TunnelClient tunnel(proxy.endpoint());
  ASSERT_TRUE(tunnel.open());
  config = proxy.config();
  ASSERT_TRUE(proxy.Reload(config.Set("algorithm", "least-connections")));
  tunnel.end().Send("a");
  EXPECT_EQ(tunnel.end().Read(1), "a");
  proxy.Signal(SIGQUIT);
  tunnel.end().Send("b");
  EXPECT_EQ(tunnel.end().Read(1), "b") << "draining leaves it alone until the deadline";
  EXPECT_NE(tunnel.end().End(), Io::kTimeout);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(Upgrade, DoesNotHoldTheHalfOpenBreaker) {
  std::atomic<bool> sick{true};
  const FakeBackend backend([&](Exchange& exchange) {
    if (sick) return exchange.Reset();
    if (!exchange.request.Has("Upgrade")) return FakeBackend::Serve(exchange);
    exchange.Send("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    exchange.PeerGone();
  });
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Set("health_check",
                       "{ enabled: false, circuit_breaker: { failure_threshold: 1, "
                       "success_threshold: 3, timeout_seconds: 1, half_open_requests: 1 } }")
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503) << "the circuit is open";
  sick = false;
  std::unique_ptr<TunnelClient> tunnel;
  ASSERT_TRUE(WaitFor([&] {
    tunnel = std::make_unique<TunnelClient>(proxy.endpoint());
    return tunnel->open();
  }));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "the tunnel's ticket was given back";
  EXPECT_TRUE(WaitFor([&] { return proxy.InFlight() == 1; })) << "the tunnel alone";
}

}  // namespace
}  // namespace ub::itest
