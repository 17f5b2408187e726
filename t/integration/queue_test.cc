// Requests that wait for a place at a backend, and limits over all workers.
#include <gtest/gtest.h>

#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// A backend that holds each request until its gate opens.
class HeldBackend {
 public:
  FakeBackend& operator*() { return backend_; }
  FakeBackend* operator->() { return &backend_; }
  Gate gate;

 private:
  FakeBackend backend_{[this](Exchange& exchange) {
    exchange.Wait(gate);
    FakeBackend::Serve(exchange);
  }};
};

ConfigFile OnePlace(const FakeBackend& backend, const std::string& queue, int workers = 1) {
  return ConfigFile().Workers(workers).Backend(backend, "max_connections: 1").Set("queue", queue);
}

uint64_t Queued(Proxy& proxy) {
  uint64_t sum = 0;
  for (uint32_t r = 0; r < proxy.segment().header().row_high_water.load(); ++r) {
    if (proxy.segment().row_live(r)) sum += proxy.segment().row(r).queued.load();
  }
  return sum;
}

TEST(Queue, OffByDefault503AtOnce) {
  HeldBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(*backend, "max_connections: 1"));
  ASSERT_TRUE(proxy.Start());
  Client first(proxy.endpoint());
  first.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  const Response refused = FetchOnce(proxy.endpoint());
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.Value("Retry-After"), "");
  backend.gate.Open();
  EXPECT_EQ(first.Read().status, 200);
  EXPECT_EQ(backend->requests(), 1u);
}

TEST(Queue, EveryoneIsServedAndTheLimitHolds) {
  const FakeBackend backend;
  Proxy proxy(OnePlace(backend, "{ max_requests: 100, timeout_ms: 30000 }", 2));
  ASSERT_TRUE(proxy.Start());
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 24; ++i) {
    clients.emplace_back([&, i] {
      Client client(proxy.endpoint());
      for (int n = 0; n < 20; ++n) {
        const std::string body = "body " + std::to_string(i) + " " + std::to_string(n);
        const Response response = client.Ask("POST", "/echo", "", body);
        if (response.status == 200 && response.body == body) ++good;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 24 * 20);
  EXPECT_EQ(backend.peak(), 1u);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(Queued(proxy), 0u);
}

TEST(Queue, FirstComeFirstServed) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 10, timeout_ms: 30000 }"));
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/number/" + std::to_string(i)));
    ASSERT_TRUE(WaitFor([&] { return backend->concurrent() + Queued(proxy) == static_cast<uint64_t>(i) + 1; }));
  }
  backend.gate.Open();
  for (auto& client : clients) EXPECT_EQ(client->Read().status, 200);
  const std::vector<Request> recorded = backend->recorded();
  ASSERT_EQ(recorded.size(), 6u);
  for (size_t i = 0; i < recorded.size(); ++i) EXPECT_EQ(recorded[i].target, "/number/" + std::to_string(i));
}

TEST(Queue, FullQueue503AtOnceAndLateOnes503AfterTheirTime) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 2, timeout_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  Client served(proxy.endpoint()), late(proxy.endpoint()), later(proxy.endpoint());
  served.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  late.Send(RequestText("GET", "/"));
  later.Send(RequestText("POST", "/", "", "body"));
  ASSERT_TRUE(WaitFor([&] { return Queued(proxy) == 2; }));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503) << "no room to wait";
  for (Client* client : {&late, &later}) {
    const Response response = client->Read();
    EXPECT_EQ(response.status, 503) << response.Outcome();
    EXPECT_NE(response.Value("Retry-After"), "");
    EXPECT_EQ(client->Send(RequestText("GET", "/")), Io::kOk) << "the connection is kept";
  }
  backend.gate.Open();
  EXPECT_EQ(served.Read().status, 200);
  EXPECT_EQ(late.Read().status, 200);
  EXPECT_EQ(later.Read().status, 200);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(Queued(proxy), 0u);
}

TEST(Queue, AClientThatLeavesGivesItsPlaceUp) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 10, timeout_ms: 30000 }"));
  ASSERT_TRUE(proxy.Start());
  Client served(proxy.endpoint());
  served.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  {
    Client impatient(proxy.endpoint());
    impatient.Send(RequestText("GET", "/impatient"));
    ASSERT_TRUE(WaitFor([&] { return Queued(proxy) == 1; }));
  }
  EXPECT_TRUE(WaitFor([&] { return Queued(proxy) == 0; }));
  backend.gate.Open();
  EXPECT_EQ(served.Read().status, 200);
  EXPECT_EQ(served.Get("/next").status, 200);
  for (const Request& request : backend->recorded()) EXPECT_NE(request.target, "/impatient");
}

TEST(Queue, ABodyThatIsStillComingWaitsToo) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 10, timeout_ms: 30000 }"));
  ASSERT_TRUE(proxy.Start());
  Client served(proxy.endpoint()), waiting(proxy.endpoint());
  served.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  const std::string body = Pattern(7, 300'000);
  waiting.Send("POST /echo HTTP/1.1\r\nHost: test.example\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body.substr(0, 1000));
  ASSERT_TRUE(WaitFor([&] { return Queued(proxy) == 1; }));
  backend.gate.Open();
  EXPECT_EQ(served.Read().status, 200);
  EXPECT_EQ(waiting.Send(std::string_view(body).substr(1000)), Io::kOk);
  const Response echoed = waiting.Read("POST");
  EXPECT_EQ(echoed.status, 200);
  EXPECT_EQ(echoed.body, body);
}

// The row of the worker that a client's connection belongs to: the one whose gauge goes up with it.
uint32_t RowOf(Proxy& proxy, std::unique_ptr<Client>* client) {
  std::vector<uint32_t> before;
  const uint32_t rows = proxy.segment().header().row_high_water.load();
  for (uint32_t r = 0; r < rows; ++r) before.push_back(proxy.segment().row(r).connections.load());
  *client = std::make_unique<Client>(proxy.endpoint());
  uint32_t found = kNoRow;
  WaitFor([&] {
    for (uint32_t r = 0; r < rows; ++r) {
      if (proxy.segment().row(r).connections.load() > before[r]) found = r;
    }
    return found != kNoRow;
  });
  return found;
}

TEST(Queue, APlaceThatAnotherWorkerFreedIsSeen) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 10, timeout_ms: 30000 }", 2));
  ASSERT_TRUE(proxy.Start());
  std::unique_ptr<Client> holder, other;
  const uint32_t row = RowOf(proxy, &holder);
  ASSERT_NE(row, kNoRow);
  ASSERT_TRUE(WaitFor([&] {
    const uint32_t got = RowOf(proxy, &other);
    if (got != row && got != kNoRow) return true;
    other.reset();
    WaitFor([&] { return proxy.Connections() == 1; });
    return false;
  }));
  holder->Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  other->Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return Queued(proxy) == 1; }));
  backend.gate.Open();
  EXPECT_EQ(holder->Read().status, 200);
  const auto freed = std::chrono::steady_clock::now();
  EXPECT_EQ(other->Read().status, 200) << "well before its time was up";
  printf("served %lld us after the other worker's place was free\n",
         static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::chrono::steady_clock::now() - freed)
                                    .count()));
}

TEST(Queue, ADrainingWorkerServesThoseWhoWait) {
  HeldBackend backend;
  Proxy proxy(OnePlace(*backend, "{ max_requests: 10, timeout_ms: 30000 }"));
  ASSERT_TRUE(proxy.Start());
  Client first(proxy.endpoint()), second(proxy.endpoint());
  first.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 1; }));
  second.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return Queued(proxy) == 1; }));
  proxy.Signal(SIGQUIT);
  ASSERT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "told to quit"); }));
  backend.gate.Open();
  EXPECT_EQ(first.Read().status, 200);
  EXPECT_EQ(second.Read().status, 200);
  first.socket().Close();
  second.socket().Close();
  EXPECT_EQ(proxy.WaitExit(), 0);
}

}  // namespace
}  // namespace ub::itest
