// One circuit breaker a backend, shared by all workers: what reaches the backend is counted there.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "client.h"
#include "core/clock.h"
#include "fake_backend.h"
#include "proxy.h"
#include "upstream/circuit_breaker.h"

namespace ub::itest {
namespace {

// A backend that serves, fails (resets) or holds its requests until it is let go, as the test says.
class MoodyBackend {
 public:
  explicit MoodyBackend(std::string name = "backend") {
    FakeBackend::Options options;
    options.name = std::move(name);
    options.handler = [this](Exchange& exchange) {
      if (hold && !exchange.Wait(gate)) return;
      if (fail) {
        exchange.Done();
        exchange.Reset();
      } else {
        FakeBackend::Serve(exchange);
      }
    };
    backend_ = std::make_unique<FakeBackend>(options);
  }
  FakeBackend& operator*() { return *backend_; }
  FakeBackend* operator->() { return backend_.get(); }

  std::atomic<bool> fail{false}, hold{false};
  Gate gate;

 private:
  std::unique_ptr<FakeBackend> backend_;
};

std::string Breaker(std::string_view settings) {
  return fmt::format("{{ enabled: false, circuit_breaker: {{ {} }} }}", settings);
}
constexpr std::string_view kQuick =
    "failure_threshold: 5, success_threshold: 2, timeout_seconds: 1, half_open_requests: 3";

ConfigFile Config(MoodyBackend& backend, std::string_view settings = kQuick) {
  return ConfigFile()
      .Workers(3)
      .Set("health_check", Breaker(settings))
      .Set("retry", "{ max_attempts: 1 }")
      .Backend(*backend);
}

BreakerWord Word(Proxy& proxy, uint32_t slot = 0) {
  return BreakerWord::Unpack(proxy.segment().slot(slot).breaker.load());
}
CircuitState Circuit(Proxy& proxy, uint32_t slot = 0) { return Word(proxy, slot).state; }

uint32_t Tickets(Proxy& proxy, uint32_t slot = 0) {
  uint32_t sum = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r) {
    if (proxy.segment().row_live(r)) sum += proxy.segment().tickets(r, slot).load();
  }
  return sum;
}

// Requests that failed over all workers open it.
void Open(Proxy& proxy, MoodyBackend& backend) {
  backend.fail = true;
  EXPECT_TRUE(WaitFor([&] {
    FetchOnce(proxy.endpoint());
    return Circuit(proxy) == CircuitState::kOpen;
  }));
  backend.fail = false;
}
// Until its time-out has passed; nothing is asked of the balancer meanwhile.
void AwaitDue(const BreakerWord& word) {
  EXPECT_TRUE(WaitFor([&] { return MonotonicMs() >= word.deadline_ms; }));
}

size_t CountLines(const std::string& log, std::string_view part) {
  size_t count = 0;
  for (const auto& line : Split(log, '\n')) count += Contains(line, part);
  return count;
}

size_t WorkersUsed(Proxy& proxy) {
  size_t used = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r)
    used += proxy.segment().row(r).requests.load() > 0;
  return used;
}

TEST(Breaker, FailuresOfAllWorkersTogetherOpenIt) {
  MoodyBackend backend;
  backend.fail = true;
  Proxy proxy(Config(backend, "failure_threshold: 12, timeout_seconds: 3600"));
  ASSERT_TRUE(proxy.Start());
  int bad_gateway = 0, unavailable = 0;
  for (int i = 0; i < 60; ++i) {
    const Response response = FetchOnce(proxy.endpoint());
    bad_gateway += response.status == 502;
    unavailable += response.status == 503;
    EXPECT_EQ(response.Has("Retry-After"), response.status == 503);
  }
  EXPECT_EQ(bad_gateway, 12);
  EXPECT_EQ(unavailable, 48);
  EXPECT_EQ(backend->requests(), 12u) << "not one more than the threshold";
  EXPECT_GE(WorkersUsed(proxy), 2u) << "or the test shows nothing";
  EXPECT_EQ(
      CountLines(proxy.Log(), "circuit is open (was closed): too many requests in a row failed"),
      1u);
}

TEST(Breaker, ASuccessInBetweenBeginsTheCountAnew) {
  MoodyBackend backend;
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  for (int round = 0; round < 5; ++round) {
    backend.fail = true;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
    backend.fail = false;
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
    // A client may have its answer before the worker counts it, and another worker may be quicker.
    ASSERT_TRUE(proxy.WaitIdle());
  }
  EXPECT_EQ(Circuit(proxy), CircuitState::kClosed);
}

TEST(Breaker, HalfOpenLetsNoMoreThroughThanItsTicketsOverAllWorkers) {
  MoodyBackend backend;
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  Open(proxy, backend);
  backend.hold = true;
  AwaitDue(Word(proxy));
  const uint64_t before = backend->requests();
  // Whoever holds a ticket is held at the backend, so no ticket comes back before the gate opens.
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/"));
  }
  EXPECT_TRUE(WaitFor([&] { return backend->concurrent() == 3; }));
  int refused = 0;
  EXPECT_TRUE(WaitFor([&] {
    refused = 0;
    for (auto& client : clients) refused += client->socket().Readable();
    return refused == 57;
  })) << refused
      << " were refused";
  EXPECT_EQ(Circuit(proxy), CircuitState::kHalfOpen);
  EXPECT_EQ(backend->requests() - before, 3u);
  EXPECT_EQ(Tickets(proxy), 3u);
  backend.gate.Open();
  int served = 0, unavailable = 0;
  for (auto& client : clients) {
    const int status = client->Read().status;
    served += status == 200;
    unavailable += status == 503;
  }
  EXPECT_EQ(served, 3);
  EXPECT_EQ(unavailable, 57);
  EXPECT_EQ(Circuit(proxy), CircuitState::kClosed);
  EXPECT_EQ(Tickets(proxy), 0u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(CountLines(proxy.Log(), "circuit is half-open (was open): its time-out has passed"),
            1u);
  EXPECT_EQ(CountLines(proxy.Log(),
                       "circuit is closed (was half-open): enough requests in a row succeeded"),
            1u);
}

TEST(Breaker, AFailureWhileHalfOpenOpensItAgain) {
  MoodyBackend backend;
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  Open(proxy, backend);
  const BreakerWord first = Word(proxy);
  AwaitDue(first);
  backend.fail = true;
  const uint64_t before = backend->requests();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_EQ(Circuit(proxy), CircuitState::kOpen);
  EXPECT_GT(Word(proxy).deadline_ms, first.deadline_ms);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  EXPECT_EQ(backend->requests(), before + 1);
  EXPECT_EQ(Tickets(proxy), 0u);
}

TEST(Breaker, TicketsOfKilledWorkersComeBack) {
  MoodyBackend backend;
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  Open(proxy, backend);
  backend.hold = true;
  AwaitDue(Word(proxy));
  std::vector<std::unique_ptr<Client>> clients;
  const auto ask = [&] {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/"));
  };
  for (int i = 0; i < 12; ++i) ask();
  ASSERT_TRUE(WaitFor([&] { return backend->concurrent() == 3 && Tickets(proxy) == 3; }));
  const auto workers = proxy.Workers();
  for (const pid_t worker : workers) kill(worker, SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return Tickets(proxy) == 0; })) << "the master has seen that they are gone";
  ASSERT_TRUE(proxy.WaitWorkers(3));
  EXPECT_EQ(Circuit(proxy), CircuitState::kHalfOpen) << "it goes on where it was";
  backend.gate.Open();
  backend.hold = false;
  EXPECT_TRUE(WaitFor([&] { return FetchOnce(proxy.endpoint()).status == 200; }));
  EXPECT_TRUE(WaitFor([&] {
    FetchOnce(proxy.endpoint());
    return Circuit(proxy) == CircuitState::kClosed;
  }));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Breaker, TheOthersTakeOverWhileOneIsOpen) {
  MoodyBackend bad("bad"), good("good");
  bad.fail = true;
  Proxy proxy(ConfigFile()
                  .Workers(3)
                  .Set("health_check", Breaker("failure_threshold: 5, timeout_seconds: 3600"))
                  .Backend(*bad)
                  .Backend(*good));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 60; ++i)
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "a retry goes to the other";
  EXPECT_EQ(Circuit(proxy, 0), CircuitState::kOpen);
  EXPECT_EQ(Circuit(proxy, 1), CircuitState::kClosed);
  EXPECT_EQ(bad->requests(), 5u);
}

TEST(Breaker, AConnectThatIsRefusedCounts) {
  MoodyBackend backend;
  Proxy proxy(Config(backend, "failure_threshold: 3, timeout_seconds: 3600"));
  ASSERT_TRUE(proxy.Start());
  backend->Stop();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  EXPECT_EQ(Circuit(proxy), CircuitState::kOpen);
}

TEST(Breaker, ATimeoutCounts) {
  MoodyBackend backend;
  backend.hold = true;
  Proxy proxy(Config(backend, "failure_threshold: 2, timeout_seconds: 3600")
                  .Set("timeout", "{ request_ms: 100 }"));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 504);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  backend.gate.Open();
}

TEST(Breaker, AClientThatLeavesDoesNotCount) {
  MoodyBackend backend;
  backend.hold = true;
  Proxy proxy(Config(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 10; ++i) {
    Client client(proxy.endpoint());
    client.Send(RequestText("GET", "/"));
    const auto wanted = static_cast<uint64_t>(i + 1);
    ASSERT_TRUE(WaitFor([&] { return backend->requests() == wanted; }));
  }
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(Circuit(proxy), CircuitState::kClosed);
  backend.gate.Open();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Breaker, SurvivesAReloadAndTheDeathOfTheController) {
  MoodyBackend backend;
  ConfigFile config = Config(backend, "failure_threshold: 5, timeout_seconds: 3600");
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Open(proxy, backend);
  ASSERT_TRUE(proxy.Reload(config.Set("algorithm", "random")));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  const pid_t controller = proxy.Controller();
  kill(controller, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return proxy.Controller() != 0 && proxy.Controller() != controller; }));
  ASSERT_TRUE(proxy.WaitInForce(0));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  EXPECT_EQ(Circuit(proxy), CircuitState::kOpen);
  // Turned off, it stands in nobody's way.
  ASSERT_TRUE(proxy.Reload(
      config.Set("health_check", "{ enabled: false, circuit_breaker: { enabled: false } }")));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

}  // namespace
}  // namespace ub::itest
