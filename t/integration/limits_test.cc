// Pools of backend connections and limits that hold over all workers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// Idle pooled connections over all workers to backend 0.
uint32_t Idle(Proxy& proxy) {
  uint32_t sum = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r) {
    if (proxy.segment().row_live(r)) sum += proxy.segment().idle(r, 0).load();
  }
  return sum;
}

// Sends `count` requests that the backend holds together until `release`, and reads their answers.
void HoldTogether(Proxy& proxy, FakeBackend& backend, Gate& release, size_t count) {
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/hold"));
  }
  EXPECT_TRUE(WaitFor([&] { return backend.concurrent() == count; }));
  release.Open();
  for (auto& client : clients) EXPECT_EQ(client->Read().status, 200);
}

FakeBackend::Handler HoldUntil(Gate& release) {
  return [&release](Exchange& exchange) {
    if (exchange.request.target == "/hold") exchange.Wait(release);
    FakeBackend::Serve(exchange);
  };
}

TEST(Pool, BackendConnectionsAreReused) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 10; ++i) {
    Client client(proxy.endpoint());
    for (int j = 0; j < 10; ++j) EXPECT_EQ(client.Get("/size/100/1").status, 200);
  }
  EXPECT_EQ(backend.accepted(), 1u);
  EXPECT_TRUE(WaitFor([&] { return Idle(proxy) == 1; }));
}

TEST(Pool, MaxRequestsEndsAConnection) {
  const FakeBackend backend;
  Proxy proxy(
      ConfigFile().Workers(1).Set("connection_pool", "{ max_requests: 5 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(backend.accepted(), 10u);
}

TEST(Pool, IdleConnectionIsClosedInTime) {
  const FakeBackend backend;
  Proxy proxy(
      ConfigFile().Workers(1).Set("connection_pool", "{ idle_timeout_ms: 200 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get().status, 200);
  EXPECT_TRUE(WaitFor([&] { return backend.open() == 0; }));
  EXPECT_TRUE(WaitFor([&] { return Idle(proxy) == 0; }));
  EXPECT_TRUE(client.StillOpen()) << "only the backend's side was idle too long";
  EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(backend.accepted(), 2u);
}

TEST(Pool, KeepsNoMoreIdleConnectionsThanAllowed) {
  for (const uint32_t most : {0u, 2u}) {
    Gate release;
    FakeBackend backend(HoldUntil(release));
    Proxy proxy(ConfigFile()
                    .Workers(1)
                    .Set("connection_pool", fmt::format("{{ max_idle_per_backend: {} }}", most))
                    .Backend(backend));
    ASSERT_TRUE(proxy.Start());
    HoldTogether(proxy, backend, release, 8);
    EXPECT_TRUE(WaitFor([&] { return backend.open() == most; })) << backend.open() << " are open";
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
    EXPECT_TRUE(WaitFor([&] { return Idle(proxy) == most; })) << Idle(proxy) << " are idle";
    EXPECT_TRUE(WaitFor([&] { return backend.open() == most; }));
  }
}

TEST(Pool, ConnectionThatTheBackendClosedWhileIdleIsNotUsed) {
  std::atomic<uint32_t> may_close{0};  // connections before this one may be closed
  const FakeBackend backend([&may_close](Exchange& exchange) {
    FakeBackend::Serve(exchange);
    WaitFor([&] { return may_close > exchange.connection || exchange.backend().stopping(); });
    exchange.Close();  // without having said so
  });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 20; ++i) {
    // A POST shows it: it is not tried again.
    EXPECT_EQ(client.Ask("POST", "/echo", "", "x").status, 200) << "request " << i;
    ASSERT_TRUE(WaitFor([&] { return Idle(proxy) == 1; }));
    ++may_close;
    ASSERT_TRUE(WaitFor([&] { return Idle(proxy) == 0; }));
  }
  EXPECT_EQ(backend.accepted(), 20u);
}

TEST(Pool, BackendRestartUnderIdleConnectionsCostsNoGet) {
  Gate release;
  FakeBackend backend(HoldUntil(release));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  HoldTogether(proxy, backend, release, 8);
  for (int i = 0; i < 5; ++i) {
    backend.Stop();
    backend.Start();
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "restart " << i;
  }
}

// A request stays until all places are taken, so that a limit that leaks is seen to leak: the first ones for as long as it
// takes, those after them for a moment.
void StayUntilContended(FakeBackend& backend, uint64_t places, Millis moment) {
  const bool first = backend.peak() < places;
  WaitFor([&] { return backend.concurrent() >= places || backend.stopping() || (first && backend.peak() >= places); },
          first ? kLimit : moment);
}

TEST(Limits, MaxConnectionsOfABackendIsExactOverAllWorkers) {
  constexpr uint64_t kLimitPerBackend = 7;
  FakeBackend::Options options;
  options.record = false;
  options.handler = [](Exchange& exchange) {
    StayUntilContended(exchange.backend(), kLimitPerBackend, Millis(3));
    FakeBackend::Serve(exchange);
  };
  const FakeBackend a(options), b(options);
  const std::string limit = fmt::format("max_connections: {}", kLimitPerBackend);
  Proxy proxy(ConfigFile().Workers(3).Backend(a, limit).Backend(b, limit));
  ASSERT_TRUE(proxy.Start());
  std::atomic<uint64_t> served{0}, full{0}, other{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 200; ++i) {
    threads.emplace_back([&] {
      Client client(proxy.endpoint());
      for (int j = 0; j < 25; ++j) {
        const int status = client.Get().status;
        ++(status == 200 ? served : status == 503 ? full : other);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(a.peak(), kLimitPerBackend);
  EXPECT_EQ(b.peak(), kLimitPerBackend);
  EXPECT_EQ(served + full, 200u * 25);
  EXPECT_EQ(other, 0u);
  EXPECT_GT(served, 100u);
  EXPECT_TRUE(proxy.WaitIdle());
}

// The issue of a limit of one backend, under each algorithm that looks at counts and one that does not.
TEST(Limits, TenConnectionsUnderTwoHundredClients) {
  constexpr uint64_t kPlaces = 10;
  for (const char* algorithm : {"round-robin", "least-connections", "power-of-two"}) {
    FakeBackend::Options options;
    options.record = false;
    options.handler = [](Exchange& exchange) {
      StayUntilContended(exchange.backend(), kPlaces, Millis(20));
      FakeBackend::Serve(exchange);
    };
    const FakeBackend backend(options);
    Proxy proxy(ConfigFile().Workers(3).Set("algorithm", algorithm).Backend(backend, "max_connections: 10"));
    ASSERT_TRUE(proxy.Start());
    std::atomic<uint64_t> served{0}, full{0}, other{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 200; ++i) {
      threads.emplace_back([&] {
        Client client(proxy.endpoint());
        for (int j = 0; j < 10; ++j) {
          const int status = client.Get().status;
          ++(status == 200 ? served : status == 503 ? full : other);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(backend.peak(), kPlaces) << algorithm << ": never more, and the places are used";
    EXPECT_EQ(other, 0u) << algorithm;
    EXPECT_EQ(backend.requests(), served) << algorithm;
    EXPECT_GT(full, 0u) << algorithm;
    EXPECT_TRUE(proxy.WaitIdle());
  }
}

TEST(Limits, FullBackendIsPassedOverAndAllFull503) {
  Gate release;
  FakeBackend::Options options;
  options.handler = HoldUntil(release);
  const FakeBackend a(options), b(options);
  Proxy proxy(ConfigFile().Backend(a, "max_connections: 1").Backend(b, "max_connections: 1"));
  ASSERT_TRUE(proxy.Start());
  Client first(proxy.endpoint()), second(proxy.endpoint());
  first.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return a.concurrent() + b.concurrent() == 1; }));
  second.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return a.concurrent() == 1 && b.concurrent() == 1; }));
  const Response response = FetchOnce(proxy.endpoint());
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(response.Value("Retry-After"), "");
  release.Open();
  EXPECT_EQ(first.Read().status, 200);
  EXPECT_EQ(second.Read().status, 200);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Limits, ClientConnectionsAreLimitedOverAllWorkers) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(2).Set("max_connections", "4").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    EXPECT_EQ(clients.back()->Get().status, 200) << "connection " << i;
  }
  EXPECT_EQ(proxy.Connections(), 4u);
  // Whether one more is closed, told 503 or left to wait: it is not served.
  Client more(proxy.endpoint());
  more.reader().set_limit(Millis(200));
  EXPECT_NE(more.Get().status, 200);
  EXPECT_LE(proxy.Connections(), 4u);
  EXPECT_EQ(backend.requests(), 4u);
  for (auto& client : clients) EXPECT_EQ(client->Get().status, 200) << "the others go on";
  more.socket().Close();
  clients.pop_back();
  EXPECT_TRUE(WaitFor([&] { return FetchOnce(proxy.endpoint()).status == 200; }));
}

}  // namespace
}  // namespace ub::itest
