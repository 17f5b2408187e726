// HTTP/2 with backends: requests and responses of every kind, streams side by side, back-pressure, and how it ends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "client.h"
#include "h2_backend.h"
#include "proxy.h"
#include "tls_backend.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

ConfigFile Config(const H2Backend& backend) {
  return ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend.Yaml());
}

std::string Value(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

// Sends back what it was sent: the body, and what the head was.
void Echo(H2Client& peer, uint32_t stream, const H2Response& request) {
  Fields seen;
  for (const auto& [name, value] : request.fields) seen.emplace_back("x-seen", name + "=" + value);
  Fields trailers;
  for (const auto& [name, value] : request.trailers) trailers.emplace_back(name, value);
  peer.Reply(stream, 200, request.body, seen, trailers);
}

bool Saw(const Fields& fields, const std::string& what) {
  return std::any_of(fields.begin(), fields.end(),
                     [&](const auto& field) { return field.first == "x-seen" && field.second == what; });
}

TEST(H2Upstream, RequestsOfHttp2ClientsPassWithBodiesAndTrailers) {
  H2Backend backend(H2Backend::Serving(Echo));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/a?b", "POST", {{"te", "trailers"}, {"cookie", "a=1"}}), false);
  const std::string body = Pattern(3, 300000);
  ASSERT_TRUE(client.SendBody(stream, body, false));
  client.Trailers(stream, {{"x-sum", "42"}});
  const H2Response& got = client.Wait(stream);
  EXPECT_EQ(got.Outcome(), "200");
  EXPECT_TRUE(got.body == body);
  EXPECT_EQ(got.trailers, (Fields{{"x-sum", "42"}}));
  for (const char* wanted : {":method=POST", ":scheme=http", ":authority=example.org", ":path=/a?b", "te=trailers",
                             "cookie=a=1", "x-forwarded-proto=http"}) {
    EXPECT_TRUE(Saw(got.fields, wanted)) << wanted;
  }
  EXPECT_FALSE(Saw(got.fields, "transfer-encoding=chunked"));
  const H2Response& bare = client.Get("/");
  EXPECT_EQ(bare.Outcome(), "200");
  EXPECT_FALSE(Saw(bare.fields, "te=trailers")) << "the client did not say it";
  EXPECT_EQ(backend.accepted(), 1u);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(proxy.Total(&ProcessRow::upstream_connects), 1u);
  EXPECT_EQ(proxy.Total(&ProcessRow::upstream_reuses), 1u);
}

TEST(H2Upstream, RequestsOfHttp1ClientsPass) {
  H2Backend backend(H2Backend::Serving([](H2Client& peer, uint32_t stream, const H2Response& request) {
    const std::string path = Value(request.fields, ":path");
    if (path == "/empty") return peer.Reply(stream, 204);
    if (path == "/length") return peer.Reply(stream, 200, "12345", {{"content-length", "5"}});
    if (path == "/late") {  // the end comes by itself
      peer.Head(stream, {{":status", "200"}, {"content-length", "78"}});
      peer.SendBody(stream, "", true);
      return;
    }
    if (Value(request.fields, ":method") == "HEAD") return peer.Reply(stream, 200, "", {{"content-length", "77"}});
    if (path == "/interim") {
      peer.Head(stream, {{":status", "103"}, {"link", "</a>"}});
      peer.Head(stream, {{":status", "103"}, {"link", "</b>"}});
    }
    Echo(peer, stream, request);
  }));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string body = Pattern(3, 200000);
  Response got = client.Ask("POST", "/x", "TE: trailers\r\nConnection: TE\r\n", body);
  EXPECT_EQ(got.status, 200);
  EXPECT_TRUE(got.body == body);
  EXPECT_EQ(got.framing, Framing::kChunked);
  EXPECT_EQ(client.Ask("GET", "/length").framing, Framing::kLength);
  EXPECT_EQ(client.Ask("GET", "/empty").status, 204);
  EXPECT_EQ(client.Ask("HEAD", "/").Value("Content-Length"), "77");
  EXPECT_EQ(client.Ask("HEAD", "/late").Value("Content-Length"), "78");
  EXPECT_EQ(client.Ask("GET", "/interim").status, 200);
  EXPECT_EQ(backend.accepted(), 1u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, BothDirectionsStreamAtOnce) {
  H2Backend backend([](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    if (stream == 0) return;
    peer.Head(stream, {{":status", "200"}});
    size_t told = 0;
    while (!peer.At(stream).over()) {  // each piece back as it comes
      if (!peer.ReadFrame()) return;
      const std::string piece = peer.At(stream).body.substr(told);
      told += piece.size();
      if (!piece.empty()) peer.SendBody(stream, piece, false);
    }
    peer.Trailers(stream, {{"grpc-status", "0"}});
    peer.NextRequest(Millis(100));
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/s", "POST", {{"content-type", "application/grpc"}}), false);
  std::string sent;
  for (int i = 0; i < 20; ++i) {
    const std::string message = fmt::format("message {};", i);
    sent += message;
    ASSERT_TRUE(client.SendBody(stream, message, false));
    while (client.At(stream).body.size() < sent.size()) ASSERT_TRUE(client.ReadFrame()) << i;
  }
  ASSERT_TRUE(client.SendBody(stream, "", true));
  const H2Response& got = client.Wait(stream);
  EXPECT_EQ(got.body, sent);
  EXPECT_EQ(got.trailers, (Fields{{"grpc-status", "0"}}));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, StreamsShareAConnectionUpToWhatTheBackendAllows) {
  std::atomic<int> most{0}, requests{0};
  H2Backend backend(
      [&](H2Client& peer) {
        std::vector<uint32_t> open;
        for (;;) {
          // Two at once where two come; the last ones may be alone on their connections.
          const uint32_t stream = peer.NextRequest(open.empty() ? kLimit : Millis(100));
          if (stream == 0 && open.empty()) return;
          if (stream != 0) {
            open.push_back(stream);
            most = std::max(most.load(), static_cast<int>(open.size()));
            ++requests;
            if (open.size() < 2) continue;
          }
          for (const uint32_t each : open) peer.Reply(each, 200, "ok");
          open.clear();
        }
      },
      H2Backend::Setting(3, 2));
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  std::vector<uint32_t> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(client.Begin(h2::Request("/")));
  for (const uint32_t stream : streams) EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_EQ(requests, 8);
  EXPECT_LE(most, 2);
  EXPECT_LE(backend.accepted(), 4u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, AClientThatLeavesResetsItsStreamAndTheConnectionStays) {
  std::atomic<uint32_t> reset{UINT32_MAX};
  std::atomic<bool> seen{false};
  H2Backend backend([&](H2Client& peer) {
    while (const uint32_t stream = peer.NextRequest()) {
      if (Value(peer.At(stream).fields, ":path") != "/never") {
        peer.Reply(stream, 200, "ok");
        continue;
      }
      seen = true;
      while (!peer.At(stream).reset && peer.ReadFrame()) {
      }
      reset = peer.At(stream).reset.value_or(UINT32_MAX - 1);
    }
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/never", "POST"), false);
  ASSERT_TRUE(WaitFor([&] { return seen.load(); }));
  client.Reset(stream);
  EXPECT_TRUE(WaitFor([&] { return reset == h2::kCancel; })) << reset;
  EXPECT_EQ(client.Get("/").Outcome(), "200");
  EXPECT_EQ(backend.accepted(), 1u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, AnEarlyAnswerIsDeliveredWhole) {
  H2Backend backend([](H2Client& peer) {
    while (const uint32_t stream = peer.NextRequest()) {
      peer.Reply(stream, 413, std::string(100000, 'x'));
      peer.Reset(stream, h2::kNoError);
    }
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) {
    const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
    client.SendSome(stream, "some");
    const H2Response& got = client.Wait(stream);
    EXPECT_EQ(got.status, 413);
    EXPECT_EQ(got.body.size(), 100000u);
    EXPECT_TRUE(got.ended);
  }
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, AStreamThatIsCutCutsTheClients) {
  H2Backend backend([](H2Client& peer) {
    while (const uint32_t stream = peer.NextRequest()) {
      peer.Head(stream, {{":status", "200"}});
      peer.SendBody(stream, "half", false);
      peer.Reset(stream, h2::kInternalError);
    }
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const H2Response& got = client.Get("/");
  EXPECT_EQ(got.body, "half");
  EXPECT_TRUE(got.reset.has_value());
  EXPECT_FALSE(got.ended);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, ASlowReaderStopsItsStreamAlone) {
  std::atomic<uint64_t> sent{0};
  H2Backend backend([&](H2Client& peer) {
    const std::string chunk = Pattern(1, 16384);
    uint32_t big = 0;
    for (;;) {
      const uint32_t stream = peer.NextRequest(Millis(big != 0 ? 1 : 60000));
      if (peer.closed() || (stream == 0 && big == 0)) return;
      if (stream != 0 && Value(peer.At(stream).fields, ":path") == "/big") {
        peer.Head(stream, {{":status", "200"}});
        big = stream;
      } else if (stream != 0) {
        peer.Reply(stream, 200, "small");
      }
      if (big != 0) sent += peer.SendSome(big, chunk);
      if (big != 0 && peer.At(big).reset) big = 0;
    }
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client::Options options;
  options.window = 1000;
  options.open_windows = false;
  H2Client slow(proxy.endpoint(), options);
  slow.Begin(h2::Request("/big"));
  ASSERT_TRUE(WaitFor([&] { return sent >= 256 * 1024; })) << "the stream's window";
  H2Client quick(proxy.endpoint());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(quick.Get("/").body, "small");
  EXPECT_LE(sent, 1u << 20) << "no more than windows and buffers hold";
  EXPECT_EQ(backend.accepted(), 1u);
}

// A backend that waits for its response to be read takes no more of the request: that is the client's slowness, too.
TEST(H2Upstream, ASlowReaderIsNoSlowBackendThoughTheRequestWaits) {
  const std::string body = Pattern(1, 1'000'000);
  H2Backend backend(
      [&](H2Client& peer) {
        peer.KeepWindows();
        const uint32_t stream = peer.NextRequest();
        peer.Head(stream, {{":status", "200"}});
        peer.SendBody(stream, body);
        while (!peer.closed()) peer.ReadFrame();
      },
      H2Backend::Setting(4, 1000));
  Proxy proxy(Config(backend).Set("timeout", "{ request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint(), {.window = 1000, .open_windows = false});
  const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
  ASSERT_TRUE(client.SendBody(stream, std::string(5000, 'q')));
  for (size_t read = 1000, round = 0; round < 9; read += 1000, ++round) {
    ASSERT_TRUE(WaitFor([&] { return client.At(stream).body.size() >= read || !client.ReadFrame(); })) << round;
    std::this_thread::sleep_for(Millis(500));  // so slow it is
    client.SendFrame(h2::kWindowUpdate, 0, stream, h2::Number32(1000));
  }
  client.SendFrame(h2::kWindowUpdate, 0, stream, h2::Number32(1 << 30));
  EXPECT_TRUE(client.Wait(stream).body == body) << client.At(stream).body.size();
  EXPECT_TRUE(client.At(stream).ended) << client.At(stream).Outcome();
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(proxy.segment().counters(0, 0).failures.load(), 0u) << proxy.Log();
}

TEST(H2Upstream, AnAnswerAndAGoawayAreNoFailureThoughTheClientIsSlow) {
  const std::string body = Pattern(1, 200'000);
  H2Backend backend([&](H2Client& peer) {
    const uint32_t stream = peer.NextRequest();
    peer.Reply(stream, 200, body);
    peer.SendFrame(h2::kGoAway, 0, 0, h2::Number32(stream) + h2::Number32(h2::kNoError));
    while (!peer.closed()) peer.ReadFrame();
  });
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint(), {.window = 1000, .open_windows = false});
  const uint32_t stream = client.Begin(h2::Request("/"));
  EXPECT_TRUE(WaitFor([&] { return client.ReadFrame() && client.At(stream).body.size() == 1000; }));
  EXPECT_TRUE(WaitFor([&] { return backend.accepted() == 1 && backend.open() == 0; }));
  client.SendFrame(h2::kWindowUpdate, 0, stream, h2::Number32(1 << 30));
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_TRUE(client.At(stream).body == body);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(proxy.segment().counters(0, 0).failures.load(), 0u);
  EXPECT_FALSE(Contains(proxy.Log(), "HTTP/2 connection closed")) << proxy.Log();
}

TEST(H2Upstream, ARequestsBodyWaitsForTheBackend) {
  Gate go;
  std::string got;
  H2Backend backend(
      [&](H2Client& peer) {
        const uint32_t stream = peer.NextRequest();
        go.Wait(Millis(60000));
        got = peer.Whole(stream).body;
        peer.Reply(stream, 200, "ok");
        peer.NextRequest(Millis(200));
      },
      H2Backend::Setting(4, 2000));  // with less, its updates of windows would be a flood
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
  const std::string body = Pattern(5, 2 << 20);
  size_t taken = client.SendSome(stream, body);
  // The proxy's window to us closes: what it holds is bounded.
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(client.RoundTrip());
    taken += client.SendSome(stream, std::string_view(body).substr(taken));
  }
  EXPECT_LT(taken, 1u << 20);
  go.Open();
  ASSERT_TRUE(client.SendBody(stream, std::string_view(body).substr(taken)));
  EXPECT_EQ(client.Wait(stream).Outcome(), "200");
  EXPECT_TRUE(got == body);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, TlsMustChooseH2) {
  H2Backend backend(H2Backend::Serving(Echo));
  CertificateOrder order;
  order.names = {"127.0.0.1"};
  TlsBackend http1(backend.endpoint(), MakeCertificate(order));  // takes no ALPN
  Proxy proxy(ConfigFile().Workers(1).Backend(http1.Yaml("protocol: h2")).Set("backend_tls", "{ enabled: true, verify: false }"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "the backend did not choose h2"); })) << proxy.Log();
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(H2Upstream, NoRequestFailsWhileBackendsComeAndGo) {
  H2Backend one(H2Backend::Serving(Echo)), two(H2Backend::Serving(Echo));
  FakeBackend three;
  Proxy proxy(Config(one));
  ASSERT_TRUE(proxy.Start());
  std::atomic<bool> over{false};
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!over) {
        H2Client client(proxy.endpoint());
        for (int n = 0; n < 50 && !over && !client.goaway(); ++n) {
          const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
          client.SendBody(stream, "hello");
          const H2Response& got = client.Wait(stream);
          const bool unseen = client.goaway() && stream > client.last_stream();
          ++(got.status == 200 && got.body == "hello" ? good : unseen ? good : bad);
        }
      }
    });
  }
  const auto config = [&](int workers) { return ConfigFile().CopyListen(proxy.config()).Workers(workers); };
  for (int round = 0; round < 4; ++round) {
    EXPECT_TRUE(proxy.Reload(config(1).Backend(one.Yaml()).Backend(two.Yaml())));
    EXPECT_TRUE(proxy.Reload(config(2).Backend(two.Yaml())));
    EXPECT_TRUE(proxy.Reload(config(2).Backend(three).Backend(two.Yaml("weight: 7"))));
    const int before = good;
    EXPECT_TRUE(WaitFor([&] { return good > before + 20; }));
    EXPECT_TRUE(proxy.Reload(config(1).Backend(one.Yaml())));
  }
  over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(bad, 0) << proxy.Log();
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return two.open() == 0; })) << "connections to a backend that is gone";
}

TEST(H2Upstream, AReloadThatLowersRequestsAConnectionHoldsForThoseBeyondIt) {
  H2Backend backend(H2Backend::Serving(Echo));
  const auto most = [&](int requests) {
    return Config(backend).Set("connection_pool", fmt::format("{{ max_requests: {} }}", requests));
  };
  Proxy proxy(most(10));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Get("/").Outcome(), "200");
  ASSERT_TRUE(proxy.Reload(most(2).CopyListen(proxy.config())));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.Get("/").Outcome(), "200");
  EXPECT_EQ(backend.accepted(), 2u) << "one more than the fourth request found no room for";
  EXPECT_TRUE(WaitFor([&] { return backend.open() == 1; }));
}

TEST(H2Upstream, AReloadChangesTheProtocolAndNoRequestFails) {
  H2Backend h2(H2Backend::Serving(Echo));
  Proxy proxy(Config(h2));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(client.Get("/").Outcome(), "200");
    ASSERT_TRUE(proxy.Reload(ConfigFile().CopyListen(proxy.config()).Workers(1 + i % 2).Backend(h2.Yaml())));
  }
  // The same address as HTTP/1: an answer cannot be understood, but the connection is another one.
  ASSERT_TRUE(proxy.Reload(ConfigFile().CopyListen(proxy.config()).Workers(1).Backend(h2.plain().Yaml())));
  EXPECT_NE(H2Client(proxy.endpoint()).Get("/").status, 200);
  EXPECT_TRUE(WaitFor([&] { return h2.open() <= 1; }));
  ASSERT_TRUE(proxy.Reload(ConfigFile().CopyListen(proxy.config()).Workers(1).Backend(h2.Yaml())));
  EXPECT_EQ(H2Client(proxy.endpoint()).Get("/").status, 200);
  EXPECT_TRUE(proxy.WaitIdle());
}

}  // namespace
}  // namespace ub::itest
