// Upgrade of the binary under load: USR2, WINCH, QUIT, and every way back.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "management.h"
#include "proxy.h"

namespace ub::itest {
namespace {

FakeBackend::Options Unrecorded(OnceCheck& once) {
  FakeBackend::Options options;
  options.record = false;
  options.handler = once.Wrap();
  return options;
}

class BinaryUpgrade : public testing::Test {
 protected:
  // A load that never stops while masters change, and what must be true of it.
  void StartLoad() {
    load_ = std::make_unique<LoadGenerator>(proxy_.endpoint(),
                                            LoadOptions{.connections = 16, .reconnect = true});
    load_->Start();
    ASSERT_TRUE(load_->WaitAnswers(100));
  }
  void ExpectNothingFailed() {
    ASSERT_TRUE(load_->WaitAnswers(200));
    const LoadReport report = load_->Stop();
    EXPECT_EQ(report.failed, 0u) << report.Summary();
    EXPECT_EQ(report.closed, 0u) << report.Summary();
    EXPECT_EQ(once_.repeated(), 0u);
    EXPECT_TRUE(proxy_.WaitIdle());
    EXPECT_TRUE(WaitFor([&] { return proxy_.Connections() == 0; }));
  }
  std::string PidFile() const { return proxy_.config().values().at("pid_file"); }
  pid_t Written(const std::string& path) const { return atoi(ReadFile(path).c_str()); }
  size_t LiveRows() {
    size_t live = 0;
    for (uint32_t r = 0; r < proxy_.segment().processes(); ++r)
      live += proxy_.segment().row_live(r) ? 1 : 0;
    return live;
  }

  OnceCheck once_;
  FakeBackend backend_{Unrecorded(once_)};
  Proxy proxy_{ConfigFile().Workers(2).Backend(backend_)};
  std::unique_ptr<LoadGenerator> load_;
};

TEST_F(BinaryUpgrade, UnderLoadFailsNothingAndCountersGoOn) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  uint64_t requests = 0;
  for (int round = 0; round < 3; ++round) {
    const pid_t old = proxy_.master();
    const pid_t successor = proxy_.Upgrade();
    ASSERT_GT(successor, 0) << proxy_.Log();
    EXPECT_EQ(Written(PidFile()), successor);
    EXPECT_EQ(Written(PidFile() + ".oldbin"), old);
    ASSERT_TRUE(load_->WaitAnswers(100)) << "both serve";
    proxy_.Signal(SIGWINCH);
    ASSERT_TRUE(WaitFor([&] { return proxy_.Workers().empty(); })) << "the old workers leave";
    ASSERT_TRUE(load_->WaitAnswers(100)) << "the new ones serve alone";
    const uint64_t now = proxy_.Total(&ProcessRow::requests);
    EXPECT_GT(now, requests);
    requests = now;
    proxy_.Signal(SIGQUIT);
    EXPECT_EQ(proxy_.WaitExit(), 0);
    EXPECT_FALSE(std::filesystem::exists(PidFile() + ".oldbin"));
    proxy_.Follow(successor);
    EXPECT_EQ(Written(PidFile()), successor);
    ASSERT_TRUE(WaitFor([&] { return LiveRows() == 3; })) << LiveRows();
    EXPECT_TRUE(WaitFor([&] { return Contains(proxy_.Log(), "is gone"); }));
  }
  ASSERT_TRUE(proxy_.Reload(proxy_.config())) << "the new master reloads as any";
  ExpectNothingFailed();
  EXPECT_GE(proxy_.Total(&ProcessRow::requests), requests);
  EXPECT_EQ(proxy_.Stop(SIGQUIT), 0);
  EXPECT_FALSE(std::filesystem::exists(PidFile()));
}

TEST_F(BinaryUpgrade, QuitAloneRetiresTheOldMaster) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  const pid_t successor = proxy_.Upgrade();
  ASSERT_GT(successor, 0) << proxy_.Log();
  proxy_.Signal(SIGQUIT);
  EXPECT_EQ(proxy_.WaitExit(), 0);
  proxy_.Follow(successor);
  ExpectNothingFailed();
}

TEST_F(BinaryUpgrade, TheWayBackBringsTheOldWorkersBack) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  const pid_t old = proxy_.master(), successor = proxy_.Upgrade();
  ASSERT_GT(successor, 0) << proxy_.Log();
  proxy_.Signal(SIGWINCH);
  ASSERT_TRUE(WaitFor([&] { return proxy_.Workers().empty(); }));
  proxy_.Signal(SIGHUP);
  ASSERT_TRUE(WaitFor([&] { return proxy_.Workers().size() == 2; }));
  ASSERT_TRUE(load_->WaitAnswers(50));
  kill(successor, SIGQUIT);
  ASSERT_TRUE(WaitFor([&] { return !Alive(successor); })) << "the new master leaves";
  ASSERT_TRUE(WaitFor([&] { return Written(PidFile()) == old; })) << "its pid file is back";
  EXPECT_FALSE(std::filesystem::exists(PidFile() + ".oldbin"));
  ASSERT_TRUE(WaitFor([&] { return proxy_.Controller() > 0; }));
  ASSERT_TRUE(WaitFor([&] { return LiveRows() == 3; })) << LiveRows();
  ASSERT_TRUE(proxy_.Reload(proxy_.config())) << "and reloads as before";
  ExpectNothingFailed();
}

TEST_F(BinaryUpgrade, AKilledNewMasterIsAsIfItHadNeverBeen) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  const pid_t old = proxy_.master(), successor = proxy_.Upgrade();
  ASSERT_GT(successor, 0) << proxy_.Log();
  proxy_.Signal(SIGWINCH);
  ASSERT_TRUE(WaitFor([&] { return proxy_.Workers().empty(); }));
  kill(successor, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return Written(PidFile()) == old && proxy_.Workers().size() == 2; }));
  ExpectNothingFailed();
  EXPECT_TRUE(WaitFor([&] { return LiveRows() == 3; })) << LiveRows() << ": rows are swept";
}

TEST_F(BinaryUpgrade, AKilledOldMasterLeavesTheNewOneServing) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  const pid_t successor = proxy_.Upgrade();
  ASSERT_GT(successor, 0) << proxy_.Log();
  EXPECT_EQ(proxy_.Stop(SIGKILL), 128 + SIGKILL);
  proxy_.Follow(successor);
  ExpectNothingFailed();
  EXPECT_TRUE(WaitFor([&] { return LiveRows() == 3; })) << LiveRows() << ": rows are swept";
}

TEST_F(BinaryUpgrade, ABrokenConfigurationLeavesAllAsItWas) {
  ASSERT_TRUE(proxy_.Start());
  StartLoad();
  const pid_t old = proxy_.master(), controller = proxy_.Controller();
  const auto workers = proxy_.Workers();
  ConfigFile bad = proxy_.config();
  proxy_.WriteConfig(bad.Set("algorithm", "round-robbin"));
  proxy_.Signal(SIGUSR2);
  ASSERT_TRUE(WaitFor([&] { return Contains(proxy_.Log(), "this one goes on"); })) << proxy_.Log();
  EXPECT_TRUE(Contains(proxy_.Log(), "round-robbin"));
  EXPECT_TRUE(Contains(proxy_.Log(), "left with status 1"));
  EXPECT_TRUE(WaitFor([&] { return Written(PidFile()) == old; }));
  EXPECT_FALSE(std::filesystem::exists(PidFile() + ".oldbin"));
  EXPECT_EQ(proxy_.Workers(), workers);
  EXPECT_EQ(proxy_.Controller(), controller);
  ASSERT_TRUE(proxy_.Reload(proxy_.config())) << "nothing is in the way of a reload";
  ASSERT_GT(proxy_.Upgrade(), 0) << "nor of the next upgrade";
  ExpectNothingFailed();
}

TEST_F(BinaryUpgrade, ASecondUsr2IsRefused) {
  ASSERT_TRUE(proxy_.Start());
  const pid_t successor = proxy_.Upgrade();
  ASSERT_GT(successor, 0);
  proxy_.Signal(SIGUSR2);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy_.Log(), "one is under way"); }));
  kill(successor, SIGUSR2);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy_.Log(), "still lives"); }));
  EXPECT_EQ(FetchOnce(proxy_.endpoint()).status, 200);
  // TERM to either leaves the other one's sockets alone.
  EXPECT_EQ(proxy_.Stop(SIGTERM), 0);
  proxy_.Follow(successor);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(proxy_.endpoint()).status, 200);
}

TEST(BinaryUpgradeOf, ABrokenBinaryLeavesAllAsItWasAndAGoodOneIsTaken) {
  const FakeBackend backend;
  const TempDir dir;
  const std::string binary = dir.Path("ultrabalancer");
  std::filesystem::copy_file(BinaryPath(), binary);
  Proxy proxy(ConfigFile().Backend(backend));
  proxy.UseBinary(binary);
  ASSERT_TRUE(proxy.Start());
  const std::string pid_file = proxy.config().values().at("pid_file");
  const pid_t old = proxy.master();
  const auto replace = [&](const std::string& text) {
    WriteFile(binary + ".new", text);
    chmod((binary + ".new").c_str(), 0755);
    std::filesystem::rename(binary + ".new", binary);
  };
  int failures = 0;
  const auto failed = [&] {
    size_t count = 0;
    const std::string log = proxy.Log();
    for (size_t at = log.find("this one goes on"); at != std::string::npos;
         at = log.find("this one goes on", at + 1))
      ++count;
    return static_cast<int>(count) == failures;
  };
  for (const char* text : {"not a program", "#!/bin/sh\nexit 3\n", "#!/bin/sh\nkill -9 $$\n"}) {
    replace(text);
    ++failures;
    proxy.Signal(SIGUSR2);
    ASSERT_TRUE(WaitFor(failed)) << text << proxy.Log();
    EXPECT_TRUE(WaitFor([&] { return atoi(ReadFile(pid_file).c_str()) == old; }));
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  }
  EXPECT_TRUE(Contains(proxy.Log(), "cannot execute " + binary)) << proxy.Log();
  EXPECT_TRUE(Contains(proxy.Log(), "left with status 3"));
  EXPECT_TRUE(Contains(proxy.Log(), "SIGKILL"));
  std::filesystem::remove(binary);
  std::filesystem::copy_file(BinaryPath(), binary);
  const pid_t successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  proxy.Follow(successor);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(BinaryUpgradeOf, HealthSurvivesAndOtherCapacitiesBeginAnew) {
  const FakeBackend backend;
  const Endpoint dead = Endpoint::V4(FreePort());
  ConfigFile config;
  config.Set("health_check", "{ interval_ms: 100, timeout_ms: 100, max_failures: 1 }")
      .Backend(backend)
      .Backend(BackendYaml(dead));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const auto health = [&](uint32_t slot) { return HealthState(proxy.segment().slot(slot).health.load()); };
  ASSERT_TRUE(
      WaitFor([&] { return health(0) == HealthState::kUp && health(1) == HealthState::kDown; }));
  pid_t successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_EQ(health(1), HealthState::kDown) << "in the same segment";
  EXPECT_TRUE(Contains(proxy.Log(), "the shared segment is taken over"));
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  proxy.Follow(successor);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);

  ConfigFile larger = proxy.config();
  proxy.WriteConfig(larger.Set("shared_memory", "{ max_backends: 2048 }"));
  successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_TRUE(Contains(proxy.Log(), "other capacities")) << proxy.Log();
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  proxy.Follow(successor);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(BinaryUpgradeOf, UnixSocketsMoveAlong) {
  const FakeBackend backend;
  const TempDir dir;
  const Endpoint at = Endpoint::Unix(dir.Path("sock"));
  Proxy proxy(ConfigFile().Listen(at).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const pid_t successor = proxy.Upgrade();
  ASSERT_GT(successor, 0) << proxy.Log();
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  proxy.Follow(successor);
  EXPECT_EQ(FetchOnce(at).status, 200) << "the path is still there";
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  EXPECT_FALSE(std::filesystem::exists(dir.Path("sock"))) << "and goes with the last of them";
}

// The management address and the main port are asked all the while: both move along, with what was changed.
TEST(BinaryUpgradeOf, TheManagementAddressMovesAlongWithItsChanges) {
  const FakeBackend a, b;
  const TempDir dir;
  ConfigFile config;
  config.Backend(a);
  const Management management(&config, fmt::format("on_main_port: true, state_file: \"{}\"", dir.Path("state.json")));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  ASSERT_EQ(management.Change("POST", "/admin/backends", b.endpoint().Text(), ",\"weight\":7").status, 200);
  ASSERT_EQ(management.Change("POST", "/admin/backends/drain", a.endpoint().Text()).status, 200);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(FetchOnce(proxy.endpoint()).status, 200);

  std::atomic<bool> stop{false};
  std::atomic<uint64_t> asked{0}, failed{0}, fell{0};
  std::thread asking([&] {
    for (uint64_t before = 0; !stop; ++asked) {
      const Endpoint& at = asked % 2 == 0 ? management.endpoint() : proxy.endpoint();
      const Json metrics = Json::parse(AskAt(at, "GET", "/metrics").body, nullptr, false);
      if (!metrics.is_object()) {
        ++failed;
        continue;
      }
      const uint64_t total = metrics["total_requests"].get<uint64_t>();
      fell += total < before ? 1 : 0;
      before = total;
    }
  });
  const auto awaits = [&](uint64_t more) {
    const uint64_t from = asked;
    return WaitFor([&] { return asked >= from + more; });
  };
  EXPECT_TRUE(awaits(10));
  for (int round = 0; round < 3; ++round) {
    const pid_t successor = proxy.Upgrade();
    EXPECT_GT(successor, 0) << proxy.Log();
    if (successor <= 0) break;
    EXPECT_TRUE(awaits(10)) << "beside the old master";
    EXPECT_EQ(management.Change("PUT", "/admin/backends/weight", b.endpoint().Text(), ",\"weight\":9").status, 200);
    EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
    proxy.Follow(successor);
    EXPECT_TRUE(awaits(10)) << "alone";
    EXPECT_TRUE(management.Backend(a.endpoint().Text()).is_object());
    EXPECT_EQ(management.Backend(a.endpoint().Text())["state"], "drain");
    EXPECT_EQ(management.Backend(b.endpoint().Text())["weight"], 9);
  }
  stop = true;
  asking.join();
  EXPECT_EQ(failed, 0u) << "of " << asked;
  EXPECT_EQ(fell, 0u) << "totals never go down";
  const uint64_t served = b.requests();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(b.requests(), served + 10) << "the drain holds";
}

}  // namespace
}  // namespace ub::itest
