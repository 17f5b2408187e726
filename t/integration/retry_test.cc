// Retries where they are configured, and what a failure is taken for.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"
#include "tunnel.h"
#include "upstream/circuit_breaker.h"

namespace ub::itest {
namespace {

FakeBackend::Handler Answering(int status) {
  return [status](Exchange& exchange) { exchange.Reply(status, "from the backend"); };
}

CircuitState StateOf(Proxy& proxy, uint32_t slot) {
  return BreakerWord::Unpack(proxy.segment().slot(slot).breaker.load()).state;
}

const char* const kBreaker = "{ enabled: false, circuit_breaker: { failure_threshold: 2, timeout_seconds: 3600 } }";

TEST(Retry, AConfiguredStatusGoesToAnotherBackend) {
  const FakeBackend sick(Answering(503)), well;
  Proxy proxy(ConfigFile().Workers(1).Backend(sick).Backend(well).Set("retry", "{ on: [ 503 ] }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 6; ++i) EXPECT_EQ(client.Get().status, 200);
  EXPECT_GT(sick.requests(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Retry, OtherStatusesAndOtherMethodsAreTheClients) {
  const FakeBackend sick(Answering(503)), sick_too(Answering(503));
  Proxy proxy(ConfigFile().Workers(1).Backend(sick).Backend(sick_too).Set("retry", "{ on: [ 502, 503 ] }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const Response last = client.Get();
  EXPECT_EQ(last.status, 503) << "both were tried, the second answer is passed on";
  EXPECT_EQ(last.body, "from the backend");
  EXPECT_EQ(sick.requests() + sick_too.requests(), 2u);
  const Response post = client.Ask("POST", "/", "", "once");
  EXPECT_EQ(post.status, 503);
  EXPECT_EQ(post.body, "from the backend");
  EXPECT_EQ(sick.requests() + sick_too.requests(), 3u) << "a POST may have done something";
}

TEST(Retry, StatusesAreNoReasonByDefault) {
  const FakeBackend sick(Answering(503)), well;
  Proxy proxy(ConfigFile().Workers(1).Backend(sick).Backend(well).Set("health_check", kBreaker));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  int passed_on = 0;
  for (int i = 0; i < 8; ++i) passed_on += client.Get().status == 503;
  EXPECT_EQ(passed_on, 4);
  EXPECT_EQ(StateOf(proxy, 0), CircuitState::kClosed);
  EXPECT_EQ(StateOf(proxy, 1), CircuitState::kClosed);
}

TEST(Retry, AConfiguredStatusFeedsTheBreakerAlsoWhereItCannotBeRetried) {
  const FakeBackend sick(Answering(502));
  Proxy proxy(
      ConfigFile().Workers(2).Backend(sick).Set("retry", "{ on: [ 502 ] }").Set("health_check", kBreaker));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(Client(proxy.endpoint()).Ask("POST", "/", "", "a").status, 502);
  EXPECT_EQ(Client(proxy.endpoint()).Ask("POST", "/", "", "b").status, 502);
  EXPECT_TRUE(WaitFor([&] { return StateOf(proxy, 0) == CircuitState::kOpen; }));
  const uint64_t seen = sick.requests();
  EXPECT_EQ(Client(proxy.endpoint()).Ask("POST", "/", "", "c").status, 503);
  EXPECT_EQ(sick.requests(), seen) << "the circuit is open";
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Retry, ATimeOutWhereConfigured) {
  Gate never;
  const FakeBackend slow([&](Exchange& exchange) { exchange.Wait(never); });
  const FakeBackend well;
  ConfigFile config;
  config.Workers(1).Backend(slow).Backend(well).Set("timeout", "{ request_ms: 1000 }");
  Proxy proxy(config.Set("retry", "{ on: [ connect, timeout ] }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.Get().status, 200);
  // Twice where the turn began with it: the second try took the other one's turn.
  EXPECT_GE(slow.requests(), 1u);
  EXPECT_EQ(well.requests(), 2u);
  ASSERT_TRUE(proxy.Reload(config.Set("retry", "{ on: [ connect ] }")));
  int timed_out = 0;
  for (int i = 0; i < 2; ++i) timed_out += client.Get().status == 504;
  EXPECT_EQ(timed_out, 1);
  never.Open();
}

TEST(Retry, BackendsThatWereTriedAreNotTriedAgain) {
  const FakeBackend a(Answering(502)), b(Answering(502)), c(Answering(502));
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Backend(a)
                  .Backend(b)
                  .Backend(c)
                  .Set("retry", "{ max_attempts: 10, on: [ 502 ] }"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_EQ(a.requests(), 1u);
  EXPECT_EQ(b.requests(), 1u);
  EXPECT_EQ(c.requests(), 1u);
}

TEST(Retry, TheBudgetKeepsRetriesAFewAtOnce) {
  // Twelve requests fail at one backend at once. Three at most are tried again at the other, which holds them.
  Gate failing, done;
  FakeBackend::Options options;
  options.handler = [&](Exchange& exchange) {
    exchange.Wait(failing);
    exchange.Reset();
  };
  const FakeBackend sick(options);
  const FakeBackend slow([&](Exchange& exchange) {
    exchange.Wait(done);
    FakeBackend::Serve(exchange);
  });
  ConfigFile config;
  config.Workers(1).Backend(sick).Backend(slow, "backup: true").Set("retry", "{ on: [ reset ], budget_percent: 0 }");
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/"));
  }
  ASSERT_TRUE(WaitFor([&] { return sick.concurrent() == 12; }));
  failing.Open();
  ASSERT_TRUE(WaitFor([&] { return slow.concurrent() == 3 && proxy.InFlight() == 3; }));
  done.Open();
  int good = 0, bad = 0;
  for (auto& client : clients) {
    const int status = client->Read().status;
    good += status == 200;
    bad += status == 502;
  }
  EXPECT_EQ(good, 3);
  EXPECT_EQ(bad, 9);
  EXPECT_EQ(slow.peak(), 3u);
}

TEST(Retry, TunnelsThatWereTriedAgainLeaveTheBudget) {
  const FakeBackend well(SwitchingBackend([](TunnelEnd& end, const Request&) { Echo(end); }));
  const uint16_t closed = FreePort();
  ConfigFile config;
  config.Workers(1).Set("algorithm", "round-robin").Set("retry", "{ on: [ connect ], budget_percent: 0 }");
  config.Set("health_check", "{ enabled: false, circuit_breaker: { failure_threshold: 1000 } }");
  config.Backend(fmt::format("\"127.0.0.1:{}\"", closed)).Backend(well);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  // Half of them meet the port where nobody listens first; three at once is what the budget allows.
  std::vector<std::unique_ptr<TunnelClient>> tunnels;
  for (int i = 0; i < 12; ++i) {
    tunnels.push_back(std::make_unique<TunnelClient>(proxy.endpoint()));
    EXPECT_TRUE(tunnels.back()->open()) << i << ": " << tunnels.back()->response().Outcome();
  }
  uint64_t retries = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r) retries += proxy.segment().row(r).retries.load();
  EXPECT_GE(retries, 5u);
}

}  // namespace
}  // namespace ub::itest
