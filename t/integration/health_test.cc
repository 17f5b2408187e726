// Active health checks with the real binary: backends that die, hang, answer badly, flap and come
// back, and what survives reloads and kills.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"
#include "upstream/health_state.h"

namespace ub::itest {
namespace {

constexpr std::string_view kNoBreaker = "circuit_breaker: { enabled: false }";

// "{ interval_ms: …, extra }" with checks so fast that a test need not wait, and patient enough for
// a loaded machine.
std::string Checks(std::string_view extra = "") {
  return fmt::format("{{ interval_ms: 100, timeout_ms: {}, {}{}{} }}", int(500 * TimeFactor()),
                     kNoBreaker, extra.empty() ? "" : ", ", extra);
}

HealthState Health(Proxy& proxy, uint32_t slot) {
  return static_cast<HealthState>(proxy.segment().slot(slot).health.load());
}
bool AwaitHealth(Proxy& proxy, uint32_t slot, HealthState state) {
  return WaitFor([&] { return Health(proxy, slot) == state; });
}

// Which backend answers each of `count` requests on new connections; "-" for a failure.
std::map<std::string, int> Answers(Proxy& proxy, int count) {
  std::map<std::string, int> answers;
  for (int i = 0; i < count; ++i) {
    const Response response = FetchOnce(proxy.endpoint());
    answers[response.status == 200 ? response.Value("X-Backend") : "-"]++;
  }
  return answers;
}

size_t CountLines(const std::string& log, std::string_view part) {
  size_t count = 0;
  for (const auto& line : Split(log, '\n')) count += Contains(line, part);
  return count;
}

// A backend whose checks answer what the test says; everything else is served.
class CheckedBackend {
 public:
  explicit CheckedBackend(std::string name) {
    FakeBackend::Options options;
    options.name = std::move(name);
    options.handler = [this](Exchange& exchange) {
      if (exchange.request.target != "/health") {
        FakeBackend::Serve(exchange);
        return;
      }
      ++checks;
      if (hang) {
        exchange.PeerGone();
        return;
      }
      exchange.Reply(status, body);
    };
    backend_ = std::make_unique<FakeBackend>(options);
  }
  FakeBackend& operator*() { return *backend_; }
  FakeBackend* operator->() { return backend_.get(); }

  std::atomic<int> status{200}, checks{0};
  std::atomic<bool> hang{false};
  std::string body = "fine";

 private:
  std::unique_ptr<FakeBackend> backend_;
};

TEST(Health, ABackendThatDiesIsLeftOutAndTakenBack) {
  FakeBackend::Options options;
  options.name = "a";
  FakeBackend a(options);
  options.name = "b";
  const FakeBackend b(options);
  Proxy proxy(ConfigFile().Set("health_check", Checks()).Backend(a).Backend(b));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
  auto both = Answers(proxy, 20);
  EXPECT_EQ(both["a"] + both["b"], 20);
  EXPECT_GE(both["a"], 5);
  a.Stop();
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  const uint64_t retries = proxy.Total(&ProcessRow::retries);
  EXPECT_EQ(Answers(proxy, 20)["b"], 20);
  EXPECT_EQ(proxy.Total(&ProcessRow::retries), retries) << "nobody is sent there any more";
  a.Start();
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_GE(Answers(proxy, 20)["a"], 5);
  // The state is there a moment before its line.
  const std::string name = a.endpoint().Text();
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), name + " is up (was recovering)"); }));
  const std::string log = proxy.Log();
  for (const auto& [line, times] :
       std::map<std::string, size_t>{{"is up (was unknown): check passed", 1},
                                     {"is degraded (was up): ", 1},
                                     {"is down (was degraded): ", 1},
                                     {"is recovering (was down): check passed", 1},
                                     {"is up (was recovering): check passed", 1}}) {
    EXPECT_EQ(CountLines(log, name + " " + line), times) << line;
  }
  EXPECT_TRUE(Contains(log, "refused")) << "the reason is told";
}

TEST(Health, ABackendThatHangsIsTakenForDead) {
  CheckedBackend a("a"), b("b");
  Proxy proxy(ConfigFile()
                  .Set("health_check",
                       fmt::format("{{ interval_ms: 100, timeout_ms: {}, path: /health, {} }}",
                                   int(150 * TimeFactor()), kNoBreaker))
                  .Backend(*a)
                  .Backend(*b));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
  a.hang = true;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_EQ(Answers(proxy, 10)["b"], 10);
  EXPECT_TRUE(Contains(proxy.Log(), "in time"));
  EXPECT_TRUE(WaitFor([&] { return a->concurrent() <= 1; }))
      << "checks that were given up are closed";
  a.hang = false;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
}

// TCP checks see a backend whose kernel accepts as up; one that neither accepts nor refuses is not.
TEST(Health, TcpCheckOfAFullListenerFails) {
  const FullListener full;
  FakeBackend::Options options;
  options.name = "good";
  const FakeBackend good(options);
  Proxy proxy(ConfigFile()
                  .Set("health_check",
                       fmt::format("{{ interval_ms: 100, timeout_ms: 100, {} }}", kNoBreaker))
                  .Backend(full.Yaml())
                  .Backend(good));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_EQ(Answers(proxy, 10)["good"], 10);
}

TEST(Health, StatusOf500TakesItDownAndTheReasonIsLogged) {
  CheckedBackend a("a"), b("b");
  Proxy proxy(ConfigFile().Set("health_check", Checks("path: /health")).Backend(*a).Backend(*b));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  a.status = 500;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_EQ(Answers(proxy, 10)["b"], 10) << "though it would serve";
  const std::string line = a->endpoint().Text() + " is down (was degraded): status 500";
  EXPECT_TRUE(WaitFor([&] { return CountLines(proxy.Log(), line) == 1; }));
}

TEST(Health, TheCheckIsWhatTheConfigurationSays) {
  CheckedBackend a("a");
  a.status = 204;
  Proxy proxy(ConfigFile()
                  .Set("health_check",
                       Checks("path: \"/health\", method: GET, expected_status: [204, 301], "
                              "headers: { X-Health-Check: \"true\", Host: checked.example }"))
                  .Backend(*a));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  const Request check = a->last();
  EXPECT_EQ(check.method, "GET");
  EXPECT_EQ(check.target, "/health");
  EXPECT_EQ(check.Value("X-Health-Check"), "true");
  EXPECT_EQ(check.Values("Host"), std::vector<std::string>{"checked.example"});
  EXPECT_EQ(a->malformed(), 0u);
  a.status = 200;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown)) << "200 is not on the list";
}

TEST(Health, TheUsualCheckIsAHeadWithTheBackendsHost) {
  CheckedBackend a("a");
  Proxy proxy(ConfigFile().Set("health_check", Checks("path: /health")).Backend(*a));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_EQ(a->last().method, "HEAD");
  EXPECT_EQ(a->last().Value("Host"), a->endpoint().Text());
}

TEST(Health, TheBodyIsLookedAtWithGet) {
  CheckedBackend a("a"), b("b");
  a.body = std::string(100'000, 'x') + "all is well" + std::string(1000, 'x');
  b.body = "all is not well";
  Proxy proxy(
      ConfigFile()
          .Set("health_check", Checks("path: /health, method: GET, expected_body: \"all is well\""))
          .Backend(*a)
          .Backend(*b));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kDown));
  EXPECT_TRUE(Contains(proxy.Log(), "the body lacks the expected text"));
}

TEST(Health, NonsenseIsAFailureAndNothingWorse) {
  const char* const answers[] = {
      "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nX: \x01\x1b[31m\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"};
  std::vector<std::unique_ptr<FakeBackend>> backends;
  ConfigFile config;
  config.Set("health_check", Checks("path: /health"));
  for (const char* answer : answers) {
    backends.push_back(std::make_unique<FakeBackend>([answer](Exchange& exchange) {
      exchange.Send(answer);
      exchange.Close();
    }));
    config.Backend(*backends.back());
  }
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const pid_t controller = proxy.Controller();
  for (uint32_t b = 0; b < std::size(answers); ++b)
    EXPECT_TRUE(AwaitHealth(proxy, b, HealthState::kDown)) << b;
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  EXPECT_EQ(proxy.Controller(), controller) << "it was not respawned";
}

TEST(Health, AFlappingBackendNeverGetsARequestWhileItIsDown) {
  CheckedBackend flapping("flapping"), steady("steady");
  Proxy proxy(ConfigFile()
                  .Set("health_check", Checks("path: /health"))
                  .Backend(*flapping)
                  .Backend(*steady));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
  for (int round = 0; round < 4; ++round) {
    EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp)) << round;
    EXPECT_GE(Answers(proxy, 10)["flapping"], 3) << round;
    flapping.status = 503;
    EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown)) << round;
    EXPECT_EQ(Answers(proxy, 10)["steady"], 10) << round;
    flapping.status = 200;
  }
  // One bad check among good ones does not take it down.
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  const size_t downs = CountLines(proxy.Log(), "is down");
  for (int round = 0; round < 4; ++round) {
    flapping.status = 503;
    EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDegraded) ||
                Health(proxy, 0) == HealthState::kDown);
    flapping.status = 200;
    EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  }
  EXPECT_LE(CountLines(proxy.Log(), "is down"), downs + 2)
      << "a loaded machine may let a few more checks pass";
}

TEST(Health, OneThatComesBackIsBroughtInSlowly) {
  CheckedBackend a("a"), b("b");
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Set("health_check", Checks("path: /health, slow_start_ms: 3600000"))
                  .Backend(*a)
                  .Backend(*b));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
  EXPECT_EQ(Answers(proxy, 100)["a"], 50);
  a.status = 500;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  a.status = 200;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  const int early = Answers(proxy, 200)["a"];
  EXPECT_GT(early, 0) << "a tenth of its weight at first";
  EXPECT_LT(early, 50);
  proxy.segment().slot(0).slow_start_since = 0;  // as if the hour had passed
  EXPECT_EQ(Answers(proxy, 100)["a"], 50);
}

TEST(Health, BackupsServeOnlyWhileNoPrimaryIsUp) {
  CheckedBackend primary("primary"), backup("backup");
  Proxy proxy(ConfigFile()
                  .Set("health_check", Checks("path: /health"))
                  .Backend(*primary)
                  .Backend(*backup, "backup: true"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp)) << "backups are checked too";
  EXPECT_EQ(Answers(proxy, 20)["primary"], 20);
  primary.status = 500;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_EQ(Answers(proxy, 20)["backup"], 20);
  primary.status = 200;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_EQ(Answers(proxy, 20)["primary"], 20);
}

TEST(Health, BelowThePanicThresholdAllAreUsed) {
  CheckedBackend a("a"), b("b"), c("c");
  Proxy proxy(ConfigFile()
                  .Set("health_check", Checks("path: /health, panic_threshold_percent: 60"))
                  .Backend(*a)
                  .Backend(*b)
                  .Backend(*c));
  ASSERT_TRUE(proxy.Start());
  for (uint32_t s = 0; s < 3; ++s) EXPECT_TRUE(AwaitHealth(proxy, s, HealthState::kUp));
  a.status = 500;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_TRUE(WaitFor([&] { return Answers(proxy, 12)["a"] == 0; })) << "two of three are enough";
  b.status = 500;
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kDown));
  EXPECT_TRUE(WaitFor([&] {
    auto answers = Answers(proxy, 12);
    return answers["a"] > 0 && answers["b"] > 0 && answers["-"] == 0;
  })) << "one of three is below 60 %";
  a.status = b.status = 200;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
}

TEST(Health, WithChecksOffEverybodyIsUpAndNobodyIsAsked) {
  CheckedBackend a("a");
  Proxy proxy(
      ConfigFile()
          .Set("health_check", fmt::format("{{ enabled: false, path: /health, {} }}", kNoBreaker))
          .Backend(*a));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp));
  EXPECT_EQ(Answers(proxy, 20)["a"], 20);
  EXPECT_EQ(a.checks, 0);
  a->Stop();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502) << "it is up, so it is tried";
  EXPECT_EQ(Health(proxy, 0), HealthState::kUp);
}

TEST(Health, SurvivesAReload) {
  CheckedBackend a("a"), b("b"), c("c");
  ConfigFile config;
  config.Set("health_check", Checks("path: /health")).Backend(*a).Backend(*b);
  a.status = 500;
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
  EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
  // Every state is looked at while the reload runs: it never leaves "down".
  std::atomic<bool> stop{false}, left{false};
  std::thread watch([&] {
    while (!stop) left = left || Health(proxy, 0) != HealthState::kDown;
  });
  ASSERT_TRUE(proxy.Reload(config.Backend(*c)));
  EXPECT_TRUE(AwaitHealth(proxy, 2, HealthState::kUp));
  EXPECT_EQ(Answers(proxy, 20)["a"], 0);
  stop = true;
  watch.join();
  EXPECT_FALSE(left);
  EXPECT_EQ(CountLines(proxy.Log(), b->endpoint().Text() + " is up (was unknown)"), 1u)
      << "known since before";
}

TEST(Health, SurvivesTheDeathOfTheController) {
  CheckedBackend a("a"), b("b");
  a.status = 500;
  Proxy proxy(ConfigFile().Set("health_check", Checks("path: /health")).Backend(*a).Backend(*b));
  ASSERT_TRUE(proxy.Start());
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kDown));
    EXPECT_TRUE(AwaitHealth(proxy, 1, HealthState::kUp));
    const pid_t controller = proxy.Controller();
    ASSERT_GT(controller, 0);
    kill(controller, SIGKILL);
    EXPECT_EQ(Answers(proxy, 10)["b"], 10) << "what was known holds";
    EXPECT_TRUE(
        WaitFor([&] { return proxy.Controller() != 0 && proxy.Controller() != controller; }));
    const int checks = b.checks;
    EXPECT_TRUE(WaitFor([&] { return b.checks >= checks + 2; })) << "the new one goes on checking";
    EXPECT_EQ(Health(proxy, 0), HealthState::kDown);
  }
  EXPECT_EQ(CountLines(proxy.Log(), b->endpoint().Text() + " is up (was unknown)"), 1u)
      << "nothing was forgotten";
  a.status = 200;
  EXPECT_TRUE(AwaitHealth(proxy, 0, HealthState::kUp)) << "and sees that it is back";
}

TEST(Health, HundredsOfBackendsAtOnce) {
  constexpr int kBackends = 200;
  std::vector<std::unique_ptr<FakeBackend>> backends;
  ConfigFile config;
  config.Set("health_check", Checks());
  for (int i = 0; i < kBackends; ++i) {
    FakeBackend::Options options;
    options.connection = [](Socket& socket) { socket.WaitClosed(); };
    backends.push_back(std::make_unique<FakeBackend>(options));
    config.Backend(*backends.back());
  }
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  for (uint32_t b = 0; b < kBackends; ++b)
    EXPECT_TRUE(AwaitHealth(proxy, b, HealthState::kUp)) << b;
  for (uint32_t b = 0; b < kBackends; b += 2) backends[b]->Stop();
  for (uint32_t b = 0; b < kBackends; b += 2)
    EXPECT_TRUE(AwaitHealth(proxy, b, HealthState::kDown)) << b;
  for (uint32_t b = 1; b < kBackends; b += 2) EXPECT_EQ(Health(proxy, b), HealthState::kUp) << b;
}

}  // namespace
}  // namespace ub::itest
