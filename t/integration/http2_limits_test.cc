// HTTP/2 under attack and under pressure: floods of cheap frames, windows that never open, bodies that nobody takes, and leaving
// without losing a request.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "h2_client.h"
#include "h2_load.h"
#include "proxy.h"

namespace ub::itest {
namespace {

ConfigFile H2cConfig(const FakeBackend& backend, const std::string& http2 = "{ }") {
  ConfigFile config = ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend);
  if (http2 != "{ }") config.Set("http2", http2);
  return config;
}

uint64_t Floods(Proxy& proxy, size_t kind) {
  uint64_t sum = 0;
  ShmSegment& shm = proxy.segment();
  for (uint32_t r = 0; r < shm.header().row_high_water.load(); ++r) sum += shm.row(r).http2_floods[kind].load();
  return sum;
}

struct Flood {
  const char* name;
  size_t kind;  // Http2Cheap
  const char* limits;
  std::function<std::string(H2Client&)> frame;  // one more
};

const Flood kFloods[] = {
    {"rapid reset", 0, "{ max_resets: 50 }",
     [](H2Client& client) {
       const uint32_t stream = client.Begin(h2::Request("/"));
       return h2::Frame(h2::kReset, 0, stream, h2::Number32(h2::kCancel));
     }},
    {"malformed requests, reset by us", 0, "{ max_resets: 50 }",
     [](H2Client& client) {
       client.Wait(client.Begin(h2::Request("/", "GET", {{"connection", "close"}})));
       return std::string();
     }},
    {"pings", 1, "{ max_pings: 50 }", [](H2Client&) { return h2::Frame(h2::kPing, 0, 0, "12345678"); }},
    {"answers to no ping", 1, "{ max_pings: 50 }", [](H2Client&) { return h2::Frame(h2::kPing, h2::kAck, 0, "12345678"); }},
    {"settings", 2, "{ max_settings: 50 }", [](H2Client&) { return h2::Frame(h2::kSettings, 0, 0, ""); }},
    {"priorities", 3, "{ max_priorities: 50 }",
     [](H2Client&) { return h2::Frame(h2::kPriority, 0, 1001, std::string("\0\0\0\0\x10", 5)); }},
    {"empty data", 4, "{ max_empty_frames: 50 }",
     [](H2Client& client) {
       if (client.next_stream() == 1) client.Begin(h2::Request("/echo", "POST"), false);
       return h2::Frame(h2::kData, 0, 1, "");
     }},
    {"data of padding", 4, "{ max_empty_frames: 50 }",
     [](H2Client& client) {
       if (client.next_stream() == 1) client.Begin(h2::Request("/echo", "POST"), false);
       return h2::Frame(h2::kData, h2::kPadded, 1, std::string("\x03\0\0\0", 4));
     }},
    {"window updates", 5, "{ max_window_updates: 50 }",
     [](H2Client&) { return h2::Frame(h2::kWindowUpdate, 0, 0, h2::Number32(1)); }},
};

TEST(Http2Floods, CloseTheConnectionOnceAndAreCounted) {
  FakeBackend backend;
  for (const Flood& flood : kFloods) {
    Proxy proxy(H2cConfig(backend, flood.limits));
    ASSERT_TRUE(proxy.Start());
    H2Client client(proxy.endpoint());
    // As many as are allowed, and the connection is as good as any.
    for (int i = 0; i < 30; ++i) client.Send(flood.frame(client));
    EXPECT_TRUE(client.RoundTrip()) << flood.name;
    EXPECT_EQ(Floods(proxy, flood.kind), 0u) << flood.name;
    for (int i = 0; i < 5000 && !client.closed() && client.Send(flood.frame(client)); ++i) {
    }
    EXPECT_TRUE(client.ServerClosed()) << flood.name;
    client.socket().Close();
    EXPECT_TRUE(WaitFor([&] { return Floods(proxy, flood.kind) == 1; })) << flood.name;
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; })) << flood.name;
    EXPECT_TRUE(proxy.WaitIdle()) << flood.name;
    const std::string log = proxy.Log();
    const size_t line = log.find("too many");
    EXPECT_NE(line, std::string::npos) << flood.name;
    EXPECT_EQ(log.find("too many", line + 1), std::string::npos) << flood.name << ": once";
    H2Client next(proxy.endpoint());
    EXPECT_EQ(next.Get("/size/10/1").Outcome(), "200") << flood.name;
  }
}

uint64_t BytesSent(Proxy& proxy) {
  uint64_t sum = 0;
  ShmSegment& shm = proxy.segment();
  for (uint32_t r = 0; r < shm.header().row_high_water.load(); ++r) sum += shm.row(r).bytes_sent.load();
  return sum;
}

// Frames that are announced when the connection is closed for a flood still leave, and are their own stream's.
TEST(Http2Floods, WhatIsUnderWayThenStaysItsOwn) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend, "{ max_settings: 50 }"));
  ASSERT_TRUE(proxy.Start());
  constexpr uint32_t kWide = 1 << 30;
  H2Client attacker(proxy.endpoint(),
                    {.window = kWide, .connection_window = kWide, .open_windows = false, .receive_buffer = 4096});
  const uint32_t stream = attacker.Begin(h2::Request("/size/30000000/1"));
  // Until the worker has given its socket all that this takes: its loop turns, and sends nothing but PINGs' answers.
  H2Client victim(proxy.endpoint(), {.window = 0, .connection_window = kWide, .open_windows = false});
  ASSERT_TRUE(WaitFor([&] { return BytesSent(proxy) > 20'000; }));
  for (int still = 0; still < 50;) {
    const uint64_t before = BytesSent(proxy);
    ASSERT_TRUE(victim.RoundTrip());
    still = BytesSent(proxy) - before < 1000 ? still + 1 : 0;
  }
  for (int i = 0; i < 60; ++i) attacker.SendFrame(h2::kSettings, 0, 0, "");
  ASSERT_TRUE(WaitFor([&] { return Floods(proxy, 2) == 1; }));
  // Whatever the attacker's stream was kept in would be this one's now.
  const uint32_t theirs = victim.Begin(h2::Request("/size/100000/2"));
  ASSERT_TRUE(WaitFor([&] { return backend.requests() == 2; }));
  ASSERT_TRUE(victim.RoundTrip());
  EXPECT_TRUE(attacker.ServerClosed());
  const std::string& got = attacker.At(stream).body;
  EXPECT_EQ(got, Pattern(1, 30'000'000).substr(0, got.size()));
  victim.SendFrame(h2::kWindowUpdate, 0, theirs, h2::Number32(kWide));
  EXPECT_EQ(victim.Wait(theirs).body, Pattern(2, 100'000));
  EXPECT_EQ(victim.At(theirs).Outcome(), "200");
}

TEST(Http2Floods, HeadsWithoutEnd) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t served = client.Begin(h2::Request("/echo", "POST"), false);
  ASSERT_TRUE(WaitFor([&] { return backend.requests() == 1; }));
  client.SendFrame(h2::kHeaders, h2::kEndStream, 3, client.Block(h2::Request("/")));
  for (int i = 0; i < 10000; ++i) {
    if (!client.SendFrame(h2::kContinuation, 0, 3, client.Block({{"x", "y"}}))) break;
  }
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(client.goaway(), h2::kCalm);
  EXPECT_GE(client.last_stream(), served) << "it was not left out: to send it again could do it twice";
  EXPECT_TRUE(WaitFor([&] { return Floods(proxy, 6) == 1; })) << "CVE-2024-27316";
  // One field of 2,900 bytes in the table, named by a byte each time: 23 MB in a frame.
  H2Client bomb(proxy.endpoint());
  std::string block = bomb.Block(h2::Request("/", "GET", {{"x", std::string(2900, 'a')}}));
  block += std::string(8000, '\xbe');
  bomb.SendFrame(h2::kHeaders, h2::kEndStream | h2::kEndHeaders, 1, block);
  EXPECT_TRUE(bomb.ServerClosed());
  EXPECT_EQ(bomb.goaway(), h2::kCalm);
  EXPECT_TRUE(WaitFor([&] { return Floods(proxy, 7) == 1; }));
  // A head that is only too large is answered.
  H2Client large(proxy.endpoint());
  EXPECT_EQ(large.Wait(large.Begin(h2::Request("/", "GET", {{"x", std::string(70000, 'a')}}))).Outcome(), "431");
  EXPECT_EQ(large.Get("/size/10/1").Outcome(), "200");
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 1; }));
}

TEST(Http2Floods, MoreStreamsThanAllowedAreRefused) {
  Gate gate;
  FakeBackend backend([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200);
  });
  Proxy proxy(H2cConfig(backend, "{ max_concurrent_streams: 5 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  std::vector<uint32_t> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(client.Begin(h2::Request("/")));
  for (size_t i = 5; i < 8; ++i) EXPECT_EQ(client.Wait(streams[i]).Outcome(), "reset 7") << i;
  EXPECT_EQ(client.setting(3), 5u);
  EXPECT_EQ(client.setting(9), 1u) << "priorities of old are not looked at";
  gate.Open();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(client.Wait(streams[i]).Outcome(), "200") << i;
}

TEST(Http2Floods, MoreStreamsThanAClientKnowsToBeAllowedEndTheConnection) {
  FakeBackend backend([](Exchange& exchange) { EXPECT_TRUE(exchange.PeerGone()); });
  Proxy proxy(H2cConfig(backend, "{ max_concurrent_streams: 5 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  // The answer to the second PING comes when the acknowledgment of SETTINGS has.
  ASSERT_TRUE(client.RoundTrip() && client.RoundTrip());
  for (int i = 0; i < 6; ++i) client.Begin(h2::Request("/"));
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(client.goaway(), h2::kProtocolError);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Http2Pressure, ABodyThatTheBackendDoesNotTakeStopsItsClient) {
  Gate gate;
  FakeBackend::Options options;
  options.read_bodies = false;
  options.receive_buffer = 4096;
  options.handler = [&](Exchange& exchange) {
    if (exchange.request.method == "GET") return FakeBackend::Serve(exchange);
    exchange.Wait(gate);
    PatternCheck check(3);
    exchange.ReadBody([&](std::string_view piece) { check.Feed(piece); });
    exchange.Reply(200, fmt::format("{} {}", check.bytes(), check.intact()));
  };
  FakeBackend backend(options);
  Proxy proxy(H2cConfig(backend, "{ initial_window_bytes: 64k, connection_window_bytes: 256k }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  const uint32_t stream = client.Begin(h2::Request("/", "POST"), false);
  EXPECT_TRUE(client.RoundTrip());
  EXPECT_EQ(client.setting(4), 65536u);
  const std::string body = Pattern(3, 20'000'000);
  // Everything that the windows allow, until nothing moves: the sockets' buffers and the window are full.
  std::string_view left = body;
  for (int still = 0; still < 20;) {
    const size_t sent = client.SendSome(stream, left);
    left.remove_prefix(sent);
    still = sent == 0 ? still + 1 : 0;
    ASSERT_TRUE(client.RoundTrip());
  }
  EXPECT_GT(left.size(), 10'000'000u) << "nobody holds that much";
  // Others pass it by.
  EXPECT_EQ(client.Get("/size/1000/1").Outcome(), "200");
  gate.Open();
  EXPECT_TRUE(client.SendBody(stream, left));
  EXPECT_EQ(client.Wait(stream).body, "20000000 true");
}

TEST(Http2Pressure, AClientThatDoesNotReadHoldsLittleAndIsLetGo) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend, "{ buffer_bytes: 256k }").Set("timeout", "{ request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  {
    // Windows of nothing: streams wait, none for ever.
    H2Client client(proxy.endpoint(), {.window = 0, .open_windows = false});
    std::vector<uint32_t> streams;
    for (int i = 0; i < 12; ++i) streams.push_back(client.Begin(h2::Request("/size/1000000/1")));
    for (const uint32_t stream : streams) {
      EXPECT_EQ(client.Wait(stream).reset, h2::kCancel) << stream << ": the client's doing";
      EXPECT_EQ(client.At(stream).body, "");
    }
    EXPECT_TRUE(proxy.WaitIdle());
    EXPECT_LT(proxy.LargestWorkerRss(), Instrumented() ? 500u << 20 : 60u << 20);
  }
  {
    // The socket itself.
    H2Client client(proxy.endpoint(), {.window = 1 << 30, .connection_window = 1 << 30, .open_windows = false, .receive_buffer = 4096});
    for (int i = 0; i < 20; ++i) client.Begin(h2::Request("/size/3000000/1"));
    EXPECT_TRUE(WaitFor([&] { return backend.concurrent() == 0 && proxy.InFlight() == 0 && proxy.Connections() == 0; }));
  }
  EXPECT_EQ(H2Client(proxy.endpoint()).Get("/size/10/1").Outcome(), "200");
}

// Little waits, the session goes on, and no window ever opens.
TEST(Http2Pressure, AStreamWhoseClientTakesNothingIsResetThoughItsBackendGoesOn) {
  FakeBackend backend([](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (exchange.Send(std::string(50, 'x')) == Io::kOk && !exchange.backend().stopping()) {
      std::this_thread::sleep_for(Millis(300));  // so slow it is
    }
  });
  Proxy proxy(H2cConfig(backend).Set("timeout", "{ request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint(), {.window = 0, .open_windows = false});
  const uint32_t stream = client.Begin(h2::Request("/"));
  EXPECT_EQ(client.Wait(stream).reset, h2::kCancel) << client.At(stream).Outcome();
  EXPECT_TRUE(proxy.WaitIdle());
}

// The window is used up when the body is, and then its end cannot be sent.
TEST(Http2Pressure, AnEndThatFindsNoWindowIsNotWaitedForForEver) {
  Gate gate;
  FakeBackend backend([&](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n");
    exchange.Wait(gate);
    exchange.Send("0\r\n\r\n");
  });
  Proxy proxy(H2cConfig(backend).Set("timeout", "{ request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint(), {.window = 10, .open_windows = false});
  const uint32_t stream = client.Begin(h2::Request("/"));
  EXPECT_TRUE(WaitFor([&] { return client.ReadFrame() && client.At(stream).body.size() == 10; }));
  gate.Open();
  EXPECT_TRUE(proxy.WaitIdle()) << "the session is over, its stream is not";
  EXPECT_EQ(client.Wait(stream).reset, h2::kCancel) << client.At(stream).Outcome();
}

TEST(Http2Pressure, ASmallResponseDoesNotWaitForLargeOnes) {
  Gate gate;
  FakeBackend backend([&](Exchange& exchange) {
    if (exchange.request.target != "/large") {
      FakeBackend::Serve(exchange);
      return gate.Open();
    }
    // Half of it comes when the small answer is on its way.
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n");
    exchange.Send(std::string(10'000'000, 'x'));
    exchange.Wait(gate);
    exchange.Send(std::string(10'000'000, 'x'));
  });
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint(), {.window = 1 << 28, .connection_window = 1 << 28});
  std::vector<uint32_t> large;
  for (int i = 0; i < 4; ++i) large.push_back(client.Begin(h2::Request("/large")));
  EXPECT_TRUE(WaitFor([&] { return client.ReadFrame() && client.At(large[3]).body.size() > 10000; }));
  EXPECT_EQ(client.Get("/size/1000/1").Outcome(), "200");
  size_t unfinished = 0, least = SIZE_MAX, most = 0;
  for (const uint32_t stream : large) {
    if (!client.At(stream).over()) ++unfinished;
    least = std::min(least, client.At(stream).body.size());
    most = std::max(most, client.At(stream).body.size());
  }
  EXPECT_EQ(unfinished, 4u);
  // One after the other would be 10 MB; a few MB lie in the buffers of sockets.
  EXPECT_LT(most - least, 9'000'000u) << "they take turns";
  for (const uint32_t stream : large) EXPECT_EQ(client.Wait(stream).Outcome(), "200");
}

TEST(Http2Timeouts, IdleConnectionsTrickledHeadsAndBodies) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend).Set("timeout", "{ idle_ms: 1000, header_ms: 1000, request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client idle(proxy.endpoint());
  EXPECT_EQ(idle.Get("/size/10/1").Outcome(), "200");
  EXPECT_TRUE(idle.ServerClosed());
  EXPECT_EQ(idle.goaway(), h2::kNoError);
  H2Client head(proxy.endpoint());
  EXPECT_TRUE(head.RoundTrip());
  head.SendFrame(h2::kHeaders, h2::kEndStream, 1, head.Block(h2::Request("/")));
  EXPECT_TRUE(head.ServerClosed());
  EXPECT_EQ(head.goaway(), h2::kCalm);
  H2Client body(proxy.endpoint());
  const uint32_t stream = body.Begin(h2::Request("/echo", "POST"), false);
  body.SendBody(stream, "some", false);
  EXPECT_EQ(body.Wait(stream).Outcome(), "408");
  EXPECT_TRUE(proxy.WaitIdle());
}

// A stream that ends while its trailers come: nothing waits for their end, which nobody would be told of.
TEST(Http2Timeouts, TrailersOfAStreamThatIsOverAreWaitedForByNobody) {
  Gate early, late;
  std::atomic<size_t> taken{0};
  FakeBackend::Options options;
  options.read_bodies = false;
  options.handler = [&](Exchange& exchange) {
    if (exchange.request.method == "GET") {
      exchange.Wait(late);
      return exchange.Reply(200, "late");
    }
    exchange.ReadBody([&](std::string_view piece) {
      if ((taken += piece.size()) == piece.size()) exchange.Reply(200, "early");
    });
  };
  FakeBackend backend(options);
  Proxy proxy(H2cConfig(backend).Set("timeout", "{ header_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  // Nothing may go out of itself between a head's frames.
  ASSERT_TRUE(client.RoundTrip());
  client.KeepWindows();
  const uint32_t get = client.Begin(h2::Request("/")), post = client.Begin(h2::Request("/", "POST"), false);
  const std::string block = client.Block({{"x-sum", "7"}});
  client.Send(h2::Frame(h2::kData, 0, post, "body") + h2::Frame(h2::kHeaders, h2::kEndStream, post, block.substr(0, 2)));
  EXPECT_EQ(client.Wait(post).body, "early") << client.At(post).Outcome();
  EXPECT_TRUE(WaitFor([&] { return client.At(post).reset || !client.ReadFrame(); }));
  client.SendFrame(h2::kContinuation, h2::kEndHeaders, post, block.substr(2));
  // Well beyond a head's time the other stream lives on.
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(client.RoundTrip()) << i;
    std::this_thread::sleep_for(Millis(100));
  }
  late.Open();
  EXPECT_EQ(client.Wait(get).body, "late") << client.At(get).Outcome();
}

TEST(Http2Draining, ReloadsAndFewerWorkersLoseNothing) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend).Workers(3));
  ASSERT_TRUE(proxy.Start());
  // So many that not all of them can be with the worker that stays to the end.
  constexpr int kConnections = 12;
  H2Load load(proxy.endpoint(), kConnections);
  ASSERT_TRUE(WaitFor([&] { return load.answered() > 100 && load.connections() == kConnections; }));
  const uint64_t before = load.connections();
  ConfigFile config = proxy.config();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(proxy.Reload(config.Set("timeout", fmt::format("{{ idle_ms: {} }}", 50000 + i))));
  const uint64_t mark = load.answered();
  ASSERT_TRUE(WaitFor([&] { return load.answered() > mark + 100; }));
  EXPECT_EQ(load.connections(), before) << "a reload closes nothing";
  for (const int workers : {1, 3, 1, 2}) {
    ASSERT_TRUE(proxy.Reload(config.Workers(workers)));
    ASSERT_TRUE(proxy.WaitWorkers(static_cast<size_t>(workers)));
    const uint64_t at = load.answered();
    ASSERT_TRUE(WaitFor([&] { return load.answered() > at + 200; }));
  }
  load.Stop();
  EXPECT_EQ(load.failed(), 0u);
  EXPECT_EQ(load.broken(), 0u);
  EXPECT_GT(load.connections(), before) << "workers that left said so";
}

TEST(Http2Draining, QuitSaysGoAwayAndFinishesStreams) {
  Gate gate;
  FakeBackend backend([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200, "late");
  });
  Proxy proxy(H2cConfig(backend));
  ASSERT_TRUE(proxy.Start());
  H2Client busy(proxy.endpoint()), idle(proxy.endpoint());
  EXPECT_TRUE(idle.RoundTrip());
  const uint32_t stream = busy.Begin(h2::Request("/"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  proxy.Signal(SIGQUIT);
  EXPECT_TRUE(idle.ServerClosed());
  EXPECT_EQ(idle.goaway(), h2::kNoError);
  EXPECT_EQ(idle.goaway_before_ping(), true) << "what is asked behind the PING's answer was asked knowing";
  EXPECT_TRUE(WaitFor([&] { return busy.ReadFrame() && busy.goaway() && busy.last_stream() == stream; }));
  gate.Open();
  EXPECT_EQ(busy.Wait(stream).Outcome(), "200");
  EXPECT_EQ(busy.At(stream).body, "late");
  EXPECT_TRUE(busy.ServerClosed());
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(Http2Draining, AtTheDeadlineItIsOver) {
  Gate gate;
  FakeBackend backend([&](Exchange& exchange) { exchange.Wait(gate); });
  Proxy proxy(H2cConfig(backend).Set("timeout", "{ drain_ms: 300 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  client.Begin(h2::Request("/"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  proxy.Signal(SIGQUIT);
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(Http2Draining, RequestsPerConnection) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend).Set("limits", "{ requests_per_connection: 3, connections_per_client: 1 }"));
  ASSERT_TRUE(proxy.Start());
  ASSERT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  {
    H2Client client(proxy.endpoint());
    EXPECT_EQ(client.Get("/size/10/1").Outcome(), "200");
    EXPECT_FALSE(H2Client(proxy.endpoint()).RoundTrip()) << "one connection a client";
    for (int i = 0; i < 2; ++i) EXPECT_EQ(client.Get("/size/10/1").Outcome(), "200");
    EXPECT_TRUE(client.ServerClosed());
    EXPECT_EQ(client.goaway(), h2::kNoError);
  }
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  EXPECT_EQ(H2Client(proxy.endpoint()).Get("/size/10/1").Outcome(), "200") << "its place came back";
}

TEST(Http2Draining, ALimitThatAReloadLowersHoldsForWhoIsBeyondIt) {
  FakeBackend backend;
  Proxy proxy(H2cConfig(backend).Set("limits", "{ requests_per_connection: 10 }"));
  ASSERT_TRUE(proxy.Start());
  H2Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Get("/size/10/1").Outcome(), "200");
  ConfigFile config = proxy.config();
  ASSERT_TRUE(proxy.Reload(config.Set("limits", "{ requests_per_connection: 2 }")));
  EXPECT_EQ(client.Get("/size/10/1").Outcome(), "200");
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(client.goaway(), h2::kNoError);
}

}  // namespace
}  // namespace ub::itest
