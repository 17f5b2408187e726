// The numbers of the management address against what clients and backends counted, over reloads
// and kills.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>

#include "load_generator.h"
#include "management.h"

namespace ub::itest {
namespace {

FakeBackend::Options Unrecorded(std::string name) {
  FakeBackend::Options options;
  options.name = std::move(name);
  options.record = false;
  return options;
}

TEST(Metrics, CountWhatTheLoadGeneratorCounted) {
  const FakeBackend a(Unrecorded("a")), b(Unrecorded("b"));
  ConfigFile config;
  config.Workers(2).Backend(a).Backend(b, "name: second");
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 16});
  load.Start();
  ASSERT_TRUE(load.WaitAnswers(500));
  const LoadReport report = load.Stop();
  ASSERT_EQ(report.failed, 0u) << report.Summary();
  ASSERT_TRUE(proxy.WaitIdle());

  const Json metrics = management.Fetch("/metrics");
  ASSERT_TRUE(metrics.is_object());
  EXPECT_EQ(metrics["total_requests"], report.answered);
  EXPECT_EQ(metrics["successful_requests"], report.answered);
  EXPECT_EQ(metrics["failed_requests"], 0);
  EXPECT_EQ(metrics["responses"]["2xx"], report.answered);
  EXPECT_GE(metrics["connections_total"], 16);
  EXPECT_EQ(metrics["algorithm"], "round-robin");
  EXPECT_GT(metrics["requests_per_second_1m"], 0);
  EXPECT_GT(metrics["uptime_seconds"], 0);
  EXPECT_GT(metrics["bytes_received"], report.answered * 40);
  EXPECT_GT(metrics["bytes_sent"], report.answered * 40);
  double before = 0;
  for (const char* const key : {"min", "p50", "p90", "p95", "p99", "p999", "max"}) {
    const double ms = metrics[fmt::format("{}_response_time_ms", key)];
    EXPECT_GE(ms, before) << key;
    before = ms;
  }
  EXPECT_GT(metrics["avg_response_time_ms"], 0);
  ASSERT_EQ(metrics["workers"].size(), 2u);
  uint64_t by_worker = 0;
  for (const Json& worker : metrics["workers"]) {
    by_worker += worker["total_requests"].get<uint64_t>();
    EXPECT_GT(worker["memory_bytes"], 1 << 20);
  }
  EXPECT_EQ(by_worker, report.answered);
  uint64_t by_backend = 0;
  for (const FakeBackend* const backend : {&a, &b}) {
    const Json seen = management.Backend(backend->endpoint().Text());
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["total_requests"], backend->requests());
    EXPECT_EQ(seen["connects"], backend->accepted());
    EXPECT_EQ(seen["failures"], 0);
    EXPECT_EQ(seen["active_connections"], 0);
    EXPECT_EQ(seen["circuit_state"], "closed");
    EXPECT_TRUE(seen["healthy"]);
    EXPECT_GT(seen["bytes_received"], seen["bytes_sent"].get<uint64_t>() / 100);
    EXPECT_GT(seen["p99_response_time_ms"], 0);
    EXPECT_GE(seen["p99_response_time_ms"], seen["p50_response_time_ms"].get<double>());
    by_backend += seen["total_requests"].get<uint64_t>();
  }
  EXPECT_EQ(by_backend, report.answered);
  EXPECT_EQ(management.Backend(b.endpoint().Text())["name"], "second");
}

TEST(Metrics, FailuresCountWhereTheyHappened) {
  FakeBackend slow([](Exchange& exchange) {
    if (exchange.request.target == "/cut") {
      exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      exchange.Reset();
    } else if (exchange.request.target == "/500") {
      exchange.Reply(500, "no");
    } else {
      exchange.Reply(404, "nothing");
    }
  });
  ConfigFile config;
  config.Workers(1).Backend(slow);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/404").status, 404);
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/500").status, 500);
  EXPECT_FALSE(FetchOnce(proxy.endpoint(), "/cut").ok());
  slow.Stop();
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/gone").status, 502);
  Json metrics;
  ASSERT_TRUE(WaitFor([&] {
    metrics = management.Fetch("/metrics");
    return metrics["total_requests"] == 4;
  })) << metrics.dump(2);
  EXPECT_EQ(metrics["successful_requests"], 1) << "a 404 is an answer";
  EXPECT_EQ(metrics["failed_requests"], 3);
  EXPECT_EQ(metrics["responses"]["5xx"], 2);
  EXPECT_EQ(metrics["responses"]["none"], 1);
  const Json backend = management.Backend(slow.endpoint().Text());
  EXPECT_EQ(backend["failures"], 2) << "the cut answer and the refused connection";
}

TEST(Metrics, WhatCouldNotBeTriedAgainIsNoRetryAndWhatRefusedNoConnection) {
  FakeBackend backend;
  backend.Stop();
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  EXPECT_TRUE(WaitFor([&] { return proxy.Total(&ProcessRow::requests) == 1; }));
  EXPECT_EQ(proxy.Total(&ProcessRow::retries), 0u);
  EXPECT_EQ(proxy.Total(&ProcessRow::upstream_connects), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Metrics, AClientThatLeavesDoesNotCountAgainstTheBackend) {
  Gate gate;
  const FakeBackend backend([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200);
  });
  ConfigFile config;
  config.Workers(1).Backend(backend);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  {
    Client client(proxy.endpoint());
    client.Send(RequestText("GET", "/"));
    ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  }
  EXPECT_TRUE(WaitFor([&] { return management.Fetch("/metrics")["client_aborts"] == 1; }));
  gate.Open();
  const Json metrics = management.Fetch("/metrics");
  EXPECT_EQ(metrics["failed_requests"], 1);
  EXPECT_EQ(management.Backend(backend.endpoint().Text())["failures"], 0);
}

TEST(Metrics, TotalsNeverFallOverReloadsAndDeadWorkers) {
  const FakeBackend a(Unrecorded("a")), b(Unrecorded("b"));
  ConfigFile config;
  config.Workers(2).Backend(a).Backend(b);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 8, .reconnect = true});
  load.Start();
  uint64_t last_total = 0, last_backend = 0;
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(load.WaitAnswers(50));
    if (i % 3 == 1) {
      ASSERT_TRUE(proxy.Reload(config.Workers(i % 2 == 0 ? 2 : 3)));
    }
    if (i % 3 == 2) {
      const auto workers = proxy.Workers();
      ASSERT_FALSE(workers.empty());
      kill(workers.front(), SIGKILL);
    }
    const Json metrics = management.Fetch("/metrics");
    ASSERT_TRUE(metrics.is_object());
    const uint64_t total = metrics["total_requests"];
    EXPECT_GE(total, last_total) << i;
    const uint64_t of_backend = management.Backend(a.endpoint().Text())["total_requests"];
    EXPECT_GE(of_backend, last_backend) << i;
    last_total = total;
    last_backend = of_backend;
  }
  load.Stop();
  EXPECT_GE(last_total, 300u);
}

// A slot that goes to another address begins at nothing.
TEST(Metrics, ANewBackendDoesNotInheritWhatItsSlotCounted) {
  const FakeBackend a(Unrecorded("a")), b(Unrecorded("b"));
  ConfigFile config;
  config.Workers(1).Backend(a).Set("shared_memory", "{ max_backends: 1 }");
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  ConfigFile other = config;
  other.ClearBackends().Backend(b);
  ASSERT_TRUE(proxy.Reload(other));
  // The slot is free once the worker has looked at the table.
  ASSERT_TRUE(WaitFor([&] {
    (void)FetchOnce(proxy.endpoint());
    return management.Backend(b.endpoint().Text()).is_object();
  }));
  const Json before = management.Backend(b.endpoint().Text());
  EXPECT_LT(before["total_requests"], 20) << before.dump(2);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(management.Backend(b.endpoint().Text())["total_requests"], b.requests());
}

TEST(Metrics, ReadyTellsWhetherABackendIsUsable) {
  FakeBackend backend;
  ConfigFile config;
  config.Backend(backend).Set("health_check", "{ interval_ms: 100, max_failures: 1, min_successes: 1 }");
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(management.Get("/health").status, 200);
  EXPECT_TRUE(WaitFor([&] { return management.Get("/ready").status == 200; }));
  backend.Stop();
  EXPECT_TRUE(WaitFor([&] { return management.Get("/ready").status == 503; }));
  EXPECT_EQ(management.Get("/health").status, 200);
  backend.Start();
  EXPECT_TRUE(WaitFor([&] { return management.Get("/ready").status == 200; }));
}

// Whoever asks may be another balancer: it would undo what the threshold is for.
TEST(Metrics, ReadyHoldsBelowThePanicThreshold) {
  FakeBackend one, two;
  ConfigFile config;
  config.Workers(1).Backend(one).Backend(two).Set(
      "health_check", "{ interval_ms: 50, max_failures: 1, panic_threshold_percent: 50, circuit_breaker: { enabled: false } }");
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  one.Stop();
  two.Stop();
  EXPECT_TRUE(WaitFor([&] { return management.Backend(one.endpoint().Text())["health"] == "down" &&
                                   management.Backend(two.endpoint().Text())["health"] == "down"; }));
  EXPECT_EQ(management.Get("/ready").status, 200);
  ASSERT_TRUE(proxy.Reload(config.Set("health_check", "{ interval_ms: 50, max_failures: 1, circuit_breaker: { enabled: false } }")));
  EXPECT_EQ(management.Get("/ready").status, 503);
}

TEST(Metrics, ReadyIs503WhileTheMasterDrains) {
  Gate gate;
  const FakeBackend backend([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200, "late");
  });
  ConfigFile config;
  config.Backend(backend);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  ASSERT_EQ(management.Get("/ready").status, 200);
  proxy.Signal(SIGQUIT);
  EXPECT_TRUE(WaitFor([&] { return management.Get("/ready").status == 503; }));
  gate.Open();
  EXPECT_EQ(client.Read().body, "late");
  client.socket().Close();  // the worker may have answered before it was told to drain
  EXPECT_EQ(proxy.WaitExit(), 0);
}

}  // namespace
}  // namespace ub::itest
