// Backends of HTTP/2 that say nothing, take nothing or end what they began, and what peers may do as often as they like: nothing
// waits for ever, no connection is given up for what is usual.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "client.h"
#include "h2_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

constexpr const char* kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

ConfigFile Config(const H2Backend& backend) {
  return ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend.Yaml());
}

Fields Connect() {
  return {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", "/ws"}, {":authority", "example.org"},
          {"sec-websocket-version", "13"}};
}

void ReadToTheEnd(H2Client& peer) {
  while (!peer.closed()) peer.ReadFrame();
}

// Until the 101 has come.
Socket Upgraded(const Endpoint& to) {
  Socket client = Socket::Connect(to);
  client.Send(kUpgrade);
  std::string got;
  while (!Contains(got, "\r\n\r\n") && client.Receive(&got) == Io::kOk) {
  }
  EXPECT_TRUE(got.starts_with("HTTP/1.1 101 ")) << got;
  return client;
}

// As grpc-go: a window update and a PING at each frame of a body.
TEST(H2UpstreamPeers, APingForEachFrameOfABodyIsNoFlood) {
  H2Backend backend(H2Backend::Serving([](H2Client& peer, uint32_t stream, const H2Response&) {
    peer.SendFrame(h2::kWindowUpdate, 0, 0, h2::Number32(1));
    peer.SendFrame(h2::kPing, 0, 0, "12345678");
    peer.Reply(stream, 200, "answer");
  }));
  Proxy proxy(Config(backend).Set("http2", "{ max_pings: 20, max_window_updates: 20 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 200; ++i) {
    const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
    client.SendBody(stream, "question");
    ASSERT_EQ(client.Wait(stream).Outcome(), "200") << i;
    client.SendFrame(h2::kWindowUpdate, 0, 0, h2::Number32(6));
    client.SendFrame(h2::kPing, 0, 0, "12345678");
  }
  EXPECT_TRUE(client.RoundTrip());
  EXPECT_FALSE(client.goaway());
  EXPECT_EQ(backend.accepted(), 1u);
}

TEST(H2UpstreamSilence, AnUpgradeThatIsNotAnsweredIsA504) {
  H2Backend backend(ReadToTheEnd, H2Backend::Setting(8, 1));
  Proxy proxy(Config(backend).Set("timeout", "{ request_ms: 400 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Wait(client.Begin(Connect(), false)).status, 504);
  Client http1(proxy.endpoint());
  http1.Send(kUpgrade);
  EXPECT_EQ(http1.Read().status, 504);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamSilence, ABodyThatNobodyTakesIsA504) {
  Gate gate;
  H2Backend backend([&](H2Client& peer) {
    peer.SendFrame(h2::kWindowUpdate, 0, 0, h2::Number32(1 << 30));
    gate.Wait();
  }, H2Backend::Setting(4, 1 << 30));
  Proxy proxy(Config(backend).Set("timeout", "{ request_ms: 1500 }").Set("limits", "{ body_bytes: 0 }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string body(100'000'000, 'x');
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  std::thread writer([&] { client.socket().Send(body); });
  EXPECT_EQ(client.Read("POST").status, 504);
  // Another on that connection, whole in itself.
  H2Client other(proxy.endpoint());
  const uint32_t stream = other.Begin(h2::Request("/", "POST"), false);
  other.SendBody(stream, "hello");
  EXPECT_EQ(other.Wait(stream).status, 504);
  EXPECT_TRUE(proxy.WaitIdle());
  client.socket().Close();
  gate.Open();
  writer.join();
}

TEST(H2UpstreamSilence, ATunnelWhoseClientHasLeftEndsAfterItsIdleTime) {
  H2Backend backend(H2Backend::Connection([](H2Client& peer) {
    peer.Head(peer.NextRequest(), {{":status", "200"}});
    ReadToTheEnd(peer);
  }), H2Backend::Setting(8, 1));
  Proxy proxy(Config(backend).Set("timeout", "{ idle_ms: 400 }"));
  ASSERT_TRUE(proxy.Start());
  Socket client = Upgraded(proxy.endpoint());
  EXPECT_EQ(proxy.InFlight(), 1u);
  client.ShutdownWrite();
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST(H2UpstreamSilence, ATunnelThatTheBackendEndsAndResetsIsOver) {
  for (const bool whole : {false, true}) {
    H2Backend backend(H2Backend::Connection([whole](H2Client& peer) {
      const uint32_t stream = peer.NextRequest();
      peer.Head(stream, {{":status", "200"}});
      peer.SendBody(stream, "bye", true);
      if (!whole) peer.Reset(stream);
      if (!whole) ReadToTheEnd(peer);
    }), H2Backend::Setting(8, 1));
    Proxy proxy(Config(backend));
    ASSERT_TRUE(proxy.Start());
    Socket client = Socket::Connect(proxy.endpoint());
    client.Send(kUpgrade);
    EXPECT_TRUE(WaitFor([&] { return proxy.Total(&ProcessRow::requests) == 1; })) << whole;
    EXPECT_TRUE(proxy.WaitIdle()) << whole;
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; })) << whole;
  }
}

TEST(H2UpstreamTunnel, AClientOfHttp2GoesOnWhenTheBackendHasEnded) {
  std::string later;
  Gate told;
  H2Backend backend(H2Backend::Connection([&](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    peer.Head(stream, {{":status", "200"}});
    peer.SendBody(stream, "bye", true);
    while (!peer.At(stream).over() && peer.ReadFrame()) {
    }
    later = peer.At(stream).ended ? peer.At(stream).body : "cut: " + peer.At(stream).Outcome();
    told.Open();
    ReadToTheEnd(peer);
  }), H2Backend::Setting(8, 1));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(Connect(), false);
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_EQ(client.At(stream).body, "bye");
  client.SendFrame(h2::kData, h2::kEndStream, stream, "later");
  told.Wait();
  EXPECT_EQ(later, "later");
  EXPECT_TRUE(proxy.WaitIdle());
}

// It has ended its direction, and then takes nothing any more: no deadline of the stream's would end that.
TEST(H2UpstreamTunnel, AClientThatEndsAndResetsWithNoErrorHasLeft) {
  H2Backend backend(H2Backend::Connection([&](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    peer.Head(stream, {{":status", "200"}});
    while (peer.SendBody(stream, std::string(1000, 'x'), false)) {
    }
    ReadToTheEnd(peer);
  }), H2Backend::Setting(8, 1));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(Connect(), false);
  ASSERT_TRUE(WaitFor([&] { return client.ReadFrame() && !client.At(stream).body.empty(); }));
  client.Send(h2::Frame(h2::kData, h2::kEndStream, stream, "bye") +
              h2::Frame(h2::kReset, 0, stream, h2::Number32(h2::kNoError)));
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(client.RoundTrip());
}

TEST(H2UpstreamSilence, GoawayBeforeAnyRequestIsAFailedConnectAndNoStorm) {
  H2Backend backend([](H2Client& peer) {
    peer.SendFrame(h2::kGoAway, 0, 0, h2::Number32(0) + h2::Number32(0));
    ReadToTheEnd(peer);
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  // A request that was sent before the GOAWAY came was refused by it, and is tried three times more.
  const std::string outcome = H2Client(proxy.endpoint()).Get("/").Outcome();
  EXPECT_TRUE(outcome == "502" || outcome == "503") << outcome;
  EXPECT_EQ(outcome == "502", Contains(proxy.Log(), "GOAWAY before any request")) << proxy.Log();
  EXPECT_LE(backend.accepted(), 5u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamSilence, AStreamThatEndsBeforeItsHeadIsA502AtOnce) {
  H2Backend backend(H2Backend::Serving([](H2Client& peer, uint32_t stream, const H2Response&) {
    peer.Head(stream, {{":status", "103"}});
    peer.SendFrame(h2::kData, h2::kEndStream, stream);
  }));
  Proxy proxy(Config(backend).Set("timeout", "{ request_ms: 600000 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Wait(client.Begin(h2::Request("/", "POST"))).status, 502);
  EXPECT_TRUE(proxy.WaitIdle());
}

}  // namespace
}  // namespace ub::itest
