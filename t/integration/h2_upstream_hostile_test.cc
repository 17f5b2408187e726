// Backends that speak HTTP/2 badly, refuse or die: what is tried again, what is a 502, and that nothing is stuck or leaks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client.h"
#include "h2_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

ConfigFile Config(const H2Backend& backend) {
  return ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend.Yaml());
}

void Ok(H2Client& peer, uint32_t stream, const H2Response& request) { peer.Reply(stream, 200, request.body + "ok"); }

TEST(H2UpstreamRetry, ARefusedStreamIsTriedAgainWhateverTheMethod) {
  std::atomic<int> seen{0};
  H2Backend backend(H2Backend::Serving([&](H2Client& peer, uint32_t stream, const H2Response& request) {
    if (++seen % 2 == 1) return peer.Reset(stream, h2::kRefusedStream);
    Ok(peer, stream, request);
  }));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.Wait(client.Begin(h2::Request("/", "POST"))).Outcome(), "200");
  EXPECT_EQ(seen, 10);
  EXPECT_EQ(proxy.segment().counters(0, 0).failures.load(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamRetry, ABackendThatRefusesForEverIsA503) {
  std::atomic<int> seen{0};
  H2Backend backend(H2Backend::Serving([&](H2Client& peer, uint32_t stream, const H2Response&) {
    ++seen;
    peer.Reset(stream, h2::kRefusedStream);
  }));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/").status, 503);
  EXPECT_LE(seen, 4);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamRetry, WhatGoawayLeavesOutGoesToANewConnection) {
  std::atomic<int> connection{0};
  H2Backend backend([&](H2Client& peer) {
    const bool first = ++connection == 1;
    if (!first) return H2Backend::Serving(Ok)(peer);
    const uint32_t one = peer.NextRequest(), two = peer.NextRequest();
    if (two == 0) return;
    peer.SendFrame(h2::kGoAway, 0, 0, h2::Number32(one) + h2::Number32(0));
    peer.Reply(one, 200, "old");
    peer.NextRequest();
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t one = client.Begin(h2::Request("/", "POST")), two = client.Begin(h2::Request("/", "POST"));
  EXPECT_EQ(client.Wait(one).body, "old");
  EXPECT_EQ(client.Wait(two).body, "ok");
  EXPECT_EQ(client.Wait(client.Begin(h2::Request("/"))).body, "ok");
  EXPECT_EQ(backend.accepted(), 2u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamRetry, AConnectionThatDiesIsTriedAgainForIdempotentRequestsAlone) {
  std::atomic<int> connection{0};
  H2Backend backend([&](H2Client& peer) {
    if (++connection % 2 == 0) return H2Backend::Serving(Ok)(peer);
    const uint32_t stream = peer.NextRequest();
    peer.Reply(stream, 200, "first");
    if (peer.NextRequest() != 0) peer.socket().Close();
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/").body, "first");
  EXPECT_EQ(client.Get("/").body, "ok");
  EXPECT_EQ(connection, 2);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2UpstreamRetry, APostOnAConnectionThatDiesIsNotSentTwice) {
  std::atomic<int> requests{0};
  H2Backend backend([&](H2Client& peer) {
    peer.Reply(peer.NextRequest(), 200, "first");
    if (peer.NextRequest() != 0) ++requests;
    peer.socket().Close();
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/").body, "first");
  EXPECT_EQ(client.Wait(client.Begin(h2::Request("/", "POST"))).status, 502);
  EXPECT_EQ(requests, 1);
  EXPECT_TRUE(proxy.WaitIdle());
}

struct Bad {
  const char* name;
  std::function<void(H2Client&)> connection;
  const char* log;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class H2UpstreamHostile : public testing::TestWithParam<Bad> {};

// Does `what` behind a request and waits for the end.
std::function<void(H2Client&)> Behind(std::function<void(H2Client&, uint32_t)> what) {
  return [what = std::move(what)](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    if (stream != 0) what(peer, stream);
    while (peer.ReadFrame()) {
    }
  };
}

std::function<void(H2Client&)> Flood(std::string frame) {
  return Behind([frame = std::move(frame)](H2Client& peer, uint32_t) {
    std::string many;
    for (int i = 0; i < 500; ++i) many += frame;
    for (int i = 0; i < 100 && peer.Send(many); ++i) {
    }
  });
}

TEST_P(H2UpstreamHostile, IsA502AndNothingIsStuck) {
  H2Backend backend(GetParam().connection);
  Proxy proxy(Config(backend).Set("timeout", "{ request_ms: 3000, connect_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 2; ++i) {
    const H2Response& got = client.Wait(client.Begin(h2::Request("/", "POST")));
    EXPECT_TRUE(got.status == 502 || got.status == 504) << got.Outcome() << "\n" << proxy.Log();
  }
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), GetParam().log); })) << proxy.Log();
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return backend.open() == 0; })) << backend.open() << " connections were left";
}

INSTANTIATE_TEST_SUITE_P(
    All, H2UpstreamHostile,
    testing::Values(
        Bad{"Pings", Flood(h2::Frame(h2::kPing, 0, 0, "12345678")), "too many ping"},
        Bad{"Settings", Flood(h2::Frame(h2::kSettings, 0, 0, "")), "too many settings"},
        Bad{"Resets", Flood(h2::Frame(h2::kReset, 0, 1001, h2::Number32(8))), "HTTP/2"},
        Bad{"EmptyData", Behind([](H2Client& peer, uint32_t stream) {
              peer.Head(stream, {{":status", "103"}});
              for (int i = 0; i < 5000 && peer.SendFrame(h2::kData, 0, stream); ++i) {
              }
            }), ""},
        Bad{"Continuations", Behind([](H2Client& peer, uint32_t stream) {
              peer.SendFrame(h2::kHeaders, 0, stream, peer.Block({{":status", "200"}}));
              for (int i = 0; i < 5000 && peer.SendFrame(h2::kContinuation, 0, stream, peer.Block({{"a", "b"}})); ++i) {
              }
            }), "too many continuation"},
        Bad{"HugeHead", Behind([](H2Client& peer, uint32_t stream) {
              Fields fields = {{":status", "200"}};
              for (int i = 0; i < 12; ++i) fields.emplace_back(fmt::format("x-{}", i), std::string(4000, 'x'));
              std::string block = peer.Block(fields);
              peer.SendFrame(h2::kHeaders, 0, stream, std::string_view(block).substr(0, 16000));
              for (size_t at = 16000; at < block.size(); at += 16000) {
                const bool last = at + 16000 >= block.size();
                peer.SendFrame(h2::kContinuation, last ? h2::kEndHeaders : 0, stream, std::string_view(block).substr(at, 16000));
              }
            }), "response head too large"},
        Bad{"Push", Behind([](H2Client& peer, uint32_t stream) {
              peer.SendFrame(5, h2::kEndHeaders, stream, h2::Number32(2) + peer.Block({{":method", "GET"}}));
            }), "HTTP/2"},
        Bad{"WindowTooLarge", Behind([](H2Client& peer, uint32_t) {
              peer.SendFrame(h2::kWindowUpdate, 0, 0, h2::Number32(0x7fffffff));
              peer.SendFrame(h2::kWindowUpdate, 0, 0, h2::Number32(0x7fffffff));
            }), "HTTP/2"},
        Bad{"NoStatus", Behind([](H2Client& peer, uint32_t stream) { peer.Head(stream, {{"a", "b"}}, true); }), "no :status"},
        Bad{"UpperCase", Behind([](H2Client& peer, uint32_t stream) {
              peer.Head(stream, {{":status", "200"}, {"X-Big", "b"}}, true);
            }), "upper case"},
        Bad{"Connection", Behind([](H2Client& peer, uint32_t stream) {
              peer.Head(stream, {{":status", "200"}, {"connection", "close"}}, true);
            }), "connection-specific"},
        Bad{"Status101", Behind([](H2Client& peer, uint32_t stream) { peer.Head(stream, {{":status", "101"}}); }), "status 101"},
        Bad{"ShortBody", Behind([](H2Client& peer, uint32_t stream) {
              peer.Head(stream, {{":status", "200"}, {"content-length", "5"}}, true);
            }), "less body"},
        Bad{"DataFirst", Behind([](H2Client& peer, uint32_t stream) { peer.SendFrame(h2::kData, 1, stream, "x"); }), ""},
        Bad{"NoAnswer", Behind([](H2Client&, uint32_t) {}), "no response in time"},
        Bad{"Reset", Behind([](H2Client& peer, uint32_t stream) { peer.Reset(stream, h2::kInternalError); }), "INTERNAL_ERROR"}),
    [](const auto& each) { return each.param.name; });

TEST(H2UpstreamGarbage, WhoDoesNotSpeakHttp2IsFoundOutBeforeAnythingIsAsked) {
  for (const char* text : {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "garbage garbage garbage garbage\n", ""}) {
    SCOPED_TRACE(text);
    FakeBackend::Options options;
    std::string seen;
    options.connection = [text](Socket& socket) {
      std::string got;
      socket.Receive(&got);
      socket.Send(text);
      if (*text != '\0') socket.WaitClosed();
    };
    FakeBackend backend(options);
    H2Backend well(H2Backend::Serving(Ok));
    Proxy proxy(ConfigFile().Workers(1).Backend(backend.Yaml("protocol: h2")));
    ASSERT_TRUE(proxy.Start());
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
    EXPECT_TRUE(Contains(proxy.Log(), *text == 'H' ? "answers in HTTP/1" : "HTTP/2")) << proxy.Log();
    // Nothing was asked of it: another one may be, whatever the method.
    ASSERT_TRUE(proxy.Reload(ConfigFile().CopyListen(proxy.config()).Workers(1).Backend(backend.Yaml("protocol: h2")).Backend(well.Yaml())));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(Client(proxy.endpoint()).Ask("POST", "/", "", "a").body, "aok");
    EXPECT_TRUE(proxy.WaitIdle());
  }
}

}  // namespace
}  // namespace ub::itest
