// Reload in place: workers and connections survive it, requests do not notice it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "management.h"
#include "proxy.h"

namespace ub::itest {
namespace {

FakeBackend::Options Unrecorded(std::string name, OnceCheck& once) {
  FakeBackend::Options options;
  options.name = std::move(name);
  options.record = false;
  options.handler = once.Wrap();
  return options;
}

TEST(Reload, UnderLoadFailsNoRequestAndClosesNoConnection) {
  OnceCheck once;
  const FakeBackend a(Unrecorded("a", once)), b(Unrecorded("b", once)), c(Unrecorded("c", once));
  ConfigFile two = ConfigFile().Workers(2).Backend(a).Backend(b);
  Proxy proxy(two);
  ASSERT_TRUE(proxy.Start());
  ConfigFile three = two;
  three.Backend(c).Set("algorithm", "least-connections");
  auto workers = proxy.Workers();
  std::sort(workers.begin(), workers.end());
  LoadGenerator load(proxy.endpoint(), {.connections = 32});
  load.Start();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(proxy.Reload(i % 2 == 0 ? three : two)) << "reload " << i;
    ASSERT_TRUE(load.WaitAnswers(64)) << "reload " << i;
  }
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(report.closed, 0u) << report.Summary();
  EXPECT_EQ(report.asked_to_close, 0u) << report.Summary();
  EXPECT_EQ(report.answered, report.sent);
  EXPECT_EQ(once.repeated(), 0u);
  EXPECT_GT(c.requests(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
  auto after = proxy.Workers();
  std::sort(after.begin(), after.end());
  EXPECT_EQ(after, workers) << "the same processes serve on";
}

TEST(Reload, ChangingTheNumberOfWorkersUnderLoadFailsNothing) {
  OnceCheck once;
  const FakeBackend a(Unrecorded("a", once)), b(Unrecorded("b", once));
  ConfigFile config = ConfigFile().Workers(2).Backend(a).Backend(b);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  // A worker that leaves says so in its next answer (Connection: close) and is left by its client;
  // it never closes a connection by itself.
  LoadGenerator load(proxy.endpoint(), {.connections = 32, .reconnect = true});
  load.Start();
  for (const int count : {4, 1, 2, 4, 2, 1, 4, 1, 2}) {
    ASSERT_TRUE(proxy.Reload(config.Workers(count))) << count << " workers: " << proxy.Log();
    ASSERT_TRUE(load.WaitAnswers(64)) << count << " workers";
  }
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(report.closed, 0u) << report.Summary();
  EXPECT_EQ(once.repeated(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return proxy.Workers().size() == 2; })) << "the drained ones left";
}

TEST(Reload, TwoHundredInARowThatChangeEverythingFailNothing) {
  OnceCheck once;
  const FakeBackend a(Unrecorded("a", once)), b(Unrecorded("b", once)), c(Unrecorded("c", once));
  const Endpoint first = Endpoint::V4(FreePort()), second = Endpoint::V4(FreePort());
  ConfigFile narrow = ConfigFile().Listen(first).Backend(a).Backend(b);
  Proxy proxy(narrow);
  ASSERT_TRUE(proxy.Start());
  ConfigFile wide = narrow;
  wide.Listen(second).Backend(c).Set("algorithm", "power-of-two");
  LoadGenerator load(proxy.endpoint(), {.connections = 24, .reconnect = true});
  load.Start();
  for (int i = 0; i < 200; ++i) {
    ConfigFile next = i % 2 == 0 ? wide : narrow;
    ASSERT_TRUE(proxy.Reload(next.Workers(1 << (i % 3)))) << "reload " << i << proxy.Log();
    if (i % 2 == 0) {
      EXPECT_EQ(FetchOnce(second).status, 200) << "reload " << i;
    }
  }
  ASSERT_TRUE(load.WaitAnswers(200));
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(report.closed, 0u) << report.Summary();
  EXPECT_EQ(once.repeated(), 0u);
  EXPECT_GT(c.requests(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Reload, GrowingClosesNoConnectionAndUsesTheNewWorkers) {
  const FakeBackend backend;
  ConfigFile config = ConfigFile().Workers(1).Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> kept;
  for (int i = 0; i < 20; ++i) {
    kept.push_back(std::make_unique<Client>(proxy.endpoint()));
    ASSERT_EQ(kept.back()->Get().status, 200);
  }
  ASSERT_TRUE(proxy.Reload(config.Workers(4)));
  for (auto& client : kept) {
    ASSERT_TRUE(client->StillOpen());
    const Response response = client->Get();
    EXPECT_EQ(response.status, 200);
    EXPECT_FALSE(response.HasToken("Connection", "close"));
  }
  // A worker gets its sockets a moment after it has the configuration.
  EXPECT_TRUE(WaitFor([&] {
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
    int accepting = 0;
    for (uint32_t r = 0; r < proxy.segment().processes(); ++r) {
      accepting += proxy.segment().row(r).accepted.load() > 0 ? 1 : 0;
    }
    return accepting == 4;
  }));
}

TEST(Reload, ShrinkingLeavesIdleConnectionsOpenUntilTheirNextRequest) {
  const FakeBackend backend;
  ConfigFile config = ConfigFile().Workers(4).Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> kept;
  for (int i = 0; i < 64; ++i) {
    kept.push_back(std::make_unique<Client>(proxy.endpoint()));
    ASSERT_EQ(kept.back()->Get().status, 200);
  }
  ASSERT_TRUE(proxy.Reload(config.Workers(1)));
  int asked_to_close = 0;
  for (auto& client : kept) {
    ASSERT_TRUE(client->StillOpen());
    const Response response = client->Get();
    EXPECT_EQ(response.status, 200) << response.Outcome();
    if (!response.HasToken("Connection", "close")) continue;
    ++asked_to_close;
    EXPECT_TRUE(client->ServerClosed());
  }
  EXPECT_GT(asked_to_close, 0);
  EXPECT_LT(asked_to_close, 64) << "connections of the worker that stays are kept";
  EXPECT_TRUE(WaitFor([&] { return proxy.Workers().size() == 1; }));
}

TEST(Reload, RequestUnderWayFinishesAndTheNextOneFollowsTheNewConfiguration) {
  Gate release;
  FakeBackend::Options options;
  options.name = "old";
  options.handler = [&release](Exchange& exchange) {
    if (exchange.request.target == "/hold") exchange.Wait(release);
    FakeBackend::Serve(exchange);
  };
  const FakeBackend before(options);
  options.name = "new";
  const FakeBackend after(options);
  ConfigFile config = ConfigFile().Backend(before);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint()), other(proxy.endpoint());
  EXPECT_EQ(other.Get().Value("X-Backend"), "old");
  client.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return before.concurrent() == 1; }));
  ASSERT_TRUE(proxy.Reload(config.ClearBackends().Backend(after)));
  EXPECT_TRUE(WaitFor([&] { return other.Get().Value("X-Backend") == "new"; }));
  release.Open();
  EXPECT_EQ(client.Read().Value("X-Backend"), "old");
  EXPECT_EQ(client.Get().Value("X-Backend"), "new") << "on the same connection";
  EXPECT_TRUE(WaitFor([&] { return before.open() == 0; })) << "pooled connections to it are let go";
}

TEST(Reload, TimeoutsAndLimitsChangeInPlace) {
  const FakeBackend backend([](Exchange& exchange) {
    if (exchange.request.target != "/hang") return FakeBackend::Serve(exchange);
    exchange.PeerGone();
  });
  ConfigFile config = ConfigFile().Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get().status, 200);
  ASSERT_TRUE(proxy.Reload(
      config.Set("timeout", "{ request_ms: 200 }").Set("limits", "{ uri_bytes: 64 }")));
  EXPECT_EQ(client.Get("/hang").status, 504);
  EXPECT_EQ(client.Get("/" + std::string(100, 'a')).status, 414);
}

TEST(Reload, ListenAddressIsAddedAndRemoved) {
  const FakeBackend backend;
  const Endpoint first = Endpoint::V4(FreePort()), second = Endpoint::V4(FreePort());
  ConfigFile one = ConfigFile().Listen(first).Backend(backend);
  Proxy proxy(one);
  ASSERT_TRUE(proxy.Start());
  EXPECT_FALSE(Client(second).connected());
  Client kept(first);
  EXPECT_EQ(kept.Get().status, 200);

  ConfigFile both = one;
  ASSERT_TRUE(proxy.Reload(both.Listen(second)));
  EXPECT_EQ(FetchOnce(second).status, 200);
  EXPECT_EQ(FetchOnce(first).status, 200);
  Client second_kept(second);
  EXPECT_EQ(second_kept.Get().status, 200);

  ConfigFile only_second = both;
  ASSERT_TRUE(proxy.Reload(only_second.ClearListen().Listen(second)));
  EXPECT_TRUE(WaitFor([&] { return !Socket::Connect(first, Millis(300)).valid(); }));
  EXPECT_EQ(kept.Get().status, 200) << "its connections stay";
  EXPECT_EQ(second_kept.Get().status, 200);
  EXPECT_EQ(FetchOnce(second).status, 200);

  ASSERT_TRUE(proxy.Reload(one));
  EXPECT_TRUE(WaitFor([&] { return FetchOnce(first).status == 200; })) << "and back";
}

TEST(Reload, BadConfigurationIsRefusedWithAllItsErrors) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get().status, 200);
  const uint64_t before = proxy.generation();
  ConfigFile bad = proxy.config();
  bad.Set("algorithm", "round-robbin").Set("workerz", "3").Set("max_connections", "many");
  proxy.WriteConfig(bad);
  proxy.Signal(SIGHUP);
  for (const char* word : {"round-robbin", "workerz", "many"}) {
    EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), word); }))
        << word << ": " << proxy.Log();
  }
  EXPECT_EQ(proxy.generation(), before);
  EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_TRUE(proxy.Reload(ConfigFile().Backend(backend))) << "a good one is taken after it";
}

TEST(Reload, SaysInOneLineWhatChangesAndNamesWhatTakesARestart) {
  const FakeBackend a, b, c;
  const std::string key = "secret-of-the-second", old_key = "secret-of-the-first";
  ConfigFile config = ConfigFile().Backend(a).Backend(b);
  config.Set("admin", "{ enabled: false, api_key: " + old_key + " }");
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  ConfigFile next = proxy.config();
  next.ClearBackends().Backend(b).Backend(c).Set("algorithm", "least-connections");
  next.Set("admin", "{ enabled: false, api_key: " + key + " }");
  next.Set("shared_memory", "{ max_backends: 77 }");
  proxy.WriteConfig(next);
  const CommandResult result = RunBinary({"-s", "reload", "-c", proxy.config_path()});
  EXPECT_EQ(result.status, 0) << result.err;
  const std::string restart =
      "shared_memory.max_backends: a change takes a restart (the old value stays in force)\n";
  EXPECT_TRUE(Contains(result.err, "ultrabalancer: warning: " + restart)) << result.err;
  EXPECT_TRUE(Contains(proxy.Log(), restart)) << proxy.Log();
  EXPECT_TRUE(Contains(proxy.Log(), "algorithm: round-robin → least-connections; backends: +" +
                                        c.endpoint().Text() + " -" + a.endpoint().Text() +
                                        "; admin.api_key: changed\n"))
      << proxy.Log();
  EXPECT_FALSE(Contains(proxy.Log() + result.err, "secret-of")) << proxy.Log();
}

TEST(Reload, TheCommandTellsEveryErrorOfABadFile) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  ConfigFile bad = proxy.config();
  bad.Set("algorithm", "round-robbin").Set("workerz", "3").Set("max_connections", "many");
  proxy.WriteConfig(bad);
  const CommandResult result = RunBinary({"-s", "reload", "-c", proxy.config_path()});
  EXPECT_EQ(result.status, 1);
  int lines = 0;
  for (const std::string& line : Split(result.err, '\n')) {
    if (line.empty()) continue;
    ++lines;
    EXPECT_TRUE(line.starts_with("ultrabalancer: " + proxy.config_path() + ":")) << line;
  }
  EXPECT_EQ(lines, 3) << result.err;
}

TEST(Reload, TakenListenAddressIsRefusedAndNothingChanges) {
  const FakeBackend backend;
  const UniqueFd taken = ListenAt(Endpoint::V4(0), 1);
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const uint64_t before = proxy.generation();
  ConfigFile config = proxy.config();
  proxy.WriteConfig(config.Listen(Endpoint::V4(LocalPort(taken.get()))));
  proxy.Signal(SIGHUP);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "in use"); })) << proxy.Log();
  EXPECT_EQ(proxy.generation(), before);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Reload, TheManagementAddressWidensAtItsPort) {
  const FakeBackend backend;
  ConfigFile config = ConfigFile().Backend(backend);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  ASSERT_EQ(management.Get("/admin/backends").status, 200);
  config.Set("admin", fmt::format("{{ listen_address: 0.0.0.0, listen_port: {}, api_key: sesame }}", management.endpoint().port));
  ASSERT_TRUE(proxy.Reload(config)) << proxy.Log();
  EXPECT_TRUE(management.Await([&] { return management.Get("/admin/backends").status == 401; })) << "it has a key now";
  EXPECT_EQ(AskAt({AF_INET, "127.0.0.2", management.endpoint().port}, "GET", "/admin/backends", "", "X-API-Key: sesame\r\n").status,
            200);
}

TEST(Reload, ManyInARowEndWithTheLast) {
  const FakeBackend backend;
  ConfigFile config = ConfigFile().Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 30; ++i) proxy.Signal(SIGHUP);
  ASSERT_TRUE(proxy.Reload(config.Set("limits", "{ uri_bytes: 64 }")));
  EXPECT_TRUE(WaitFor(
      [&] { return FetchOnce(proxy.endpoint(), "/" + std::string(100, 'a')).status == 414; }));
  EXPECT_EQ(proxy.Workers().size(), 2u);
}

}  // namespace
}  // namespace ub::itest
