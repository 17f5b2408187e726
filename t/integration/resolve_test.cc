// Backends given by name: every address is a backend, a name that moves is followed, one that cannot be resolved keeps
// its addresses. The balancer gets an /etc/hosts of the test's own, in a mount namespace (which takes root).
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "management.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// A backend at an address of 127.0.0.0/8 and a port that all of the test's backends share.
FakeBackend::Options At(const std::string& address, uint16_t port) {
  FakeBackend::Options options;
  options.at = Endpoint{AF_INET, address, port};
  options.name = address;
  return options;
}

class Resolve : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "a mount namespace takes root";
    Hosts("127.0.0.11 moving.test\n");
  }
  // In place: a bind mount shows the file that was there when it was made.
  void Hosts(const std::string& text) {
    std::ofstream(dir_.Path("hosts"), std::ios::trunc) << "127.0.0.1 localhost\n" << text;
  }
  ConfigFile Config() const {
    return ConfigFile()
        .Backend("{ host: moving.test, port: " + std::to_string(port_) + " }")
        .Set("resolve_interval_ms", "50");
  }
  void Prepare(Proxy* proxy) const {
    const std::string hosts = dir_.Path("hosts");
    proxy->BeforeExec([hosts] {
      const bool ready = unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount(hosts.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
      if (!ready) {
        perror("cannot put a hosts file in place");
        _exit(127);
      }
    });
  }
  std::set<std::string> Answering(const Proxy& proxy) const {
    std::set<std::string> names;
    for (int i = 0; i < 8; ++i) names.insert(FetchOnce(proxy.endpoint()).Value("X-Backend"));
    return names;
  }

  TempDir dir_;
  const uint16_t port_ = FreePort();
};

TEST_F(Resolve, ANameThatMovesLosesNoRequest) {
  const FakeBackend old_place(At("127.0.0.11", port_)), new_place(At("127.0.0.12", port_));
  Proxy proxy(Config());
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 8});
  load.Start();
  ASSERT_TRUE(load.WaitAnswers(100));
  EXPECT_EQ(new_place.requests(), 0u);
  Hosts("127.0.0.12 moving.test\n");
  ASSERT_TRUE(WaitFor([&] { return new_place.requests() > 0; }));
  ASSERT_TRUE(WaitFor([&] { return old_place.concurrent() == 0 && old_place.open() == 0; }))
      << "idle connections to it are closed as well";
  const uint64_t seen = old_place.requests();
  ASSERT_TRUE(load.WaitAnswers(100));
  EXPECT_EQ(old_place.requests(), seen);
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(report.closed, 0u) << report.Summary();
  EXPECT_TRUE(Contains(proxy.Log(), "moving.test is 127.0.0.12 now (was 127.0.0.11)")) << proxy.Log();
}

TEST_F(Resolve, EveryAddressOfANameIsABackend) {
  const FakeBackend one(At("127.0.0.11", port_)), two(At("127.0.0.12", port_));
  Hosts("127.0.0.11 moving.test\n127.0.0.12 moving.test\n");
  Proxy proxy(Config());
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(Answering(proxy), (std::set<std::string>{"127.0.0.11", "127.0.0.12"}));
  Hosts("127.0.0.12 moving.test\n");
  EXPECT_TRUE(WaitFor([&] { return Answering(proxy) == std::set<std::string>{"127.0.0.12"}; }));
}

TEST_F(Resolve, AFailedResolutionKeepsTheLastGoodOne) {
  const FakeBackend backend(At("127.0.0.11", port_));
  Proxy proxy(Config());
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  Hosts("");
  ASSERT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "the addresses known so far stay: 127.0.0.11"); }));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  Hosts("127.0.0.11 moving.test\n");
  ASSERT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "moving.test can be resolved again"); }));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST_F(Resolve, ARespawnedControllerGoesOn) {
  const FakeBackend old_place(At("127.0.0.11", port_)), new_place(At("127.0.0.12", port_));
  Proxy proxy(Config());
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  Hosts("");  // nothing can be resolved when the next one starts
  const pid_t before = proxy.Controller();
  ASSERT_GT(before, 0);
  kill(before, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return proxy.Controller() != before && proxy.Controller() > 0; }));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "the table stands";
  Hosts("127.0.0.12 moving.test\n");
  EXPECT_TRUE(WaitFor([&] { return Answering(proxy) == std::set<std::string>{"127.0.0.12"}; }));
}

// What a controller that died knew of names is in the table.
TEST_F(Resolve, ARespawnedControllerTakesChangesThoughNothingCanBeResolved) {
  const FakeBackend one(At("127.0.0.11", port_)), two(At("127.0.0.12", port_));
  Hosts("127.0.0.11 moving.test\n127.0.0.12 moving.test\n");
  ConfigFile config = Config();
  const Management management(&config);
  Proxy proxy(config);
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  Hosts("");
  const pid_t before = proxy.Controller();
  kill(before, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return proxy.Controller() != before && proxy.Controller() > 0; }));
  const Response drained = management.Change("POST", "/admin/backends/drain", one.endpoint().Text());
  EXPECT_EQ(drained.status, 200) << drained.body;
  EXPECT_EQ(Answering(proxy), std::set<std::string>{"127.0.0.12"});
}

TEST_F(Resolve, WhatIsDoneToANameHoldsForItsAddresses) {
  const FakeBackend one(At("127.0.0.11", port_)), two(At("127.0.0.12", port_));
  Hosts("127.0.0.11 moving.test\n127.0.0.12 moving.test\n");
  ConfigFile config = Config();
  const Management management(&config);
  Proxy proxy(config);
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  const std::string name = "moving.test:" + std::to_string(port_), address = one.endpoint().Text();
  const auto state = [&] { return management.Backend(address)["state"].get<std::string>(); };
  ASSERT_EQ(management.Change("POST", "/admin/backends/drain", name).status, 200);
  EXPECT_EQ(state(), "drain");
  ASSERT_EQ(management.Change("PUT", "/admin/backends/weight", address, ",\"weight\":7").status, 200);
  EXPECT_EQ(state(), "drain") << "another weight undrains nothing";
  const Response refused = management.Change("POST", "/admin/backends/undrain", address);
  EXPECT_EQ(refused.status, 400);
  EXPECT_TRUE(Contains(refused.body, "is drained as " + name)) << refused.body;
  // Gone and back, it is still one of the name's.
  ASSERT_EQ(management.Change("DELETE", "/admin/backends", address).status, 200);
  EXPECT_EQ(management.Change("POST", "/admin/backends", address, ",\"backup\":true").status, 400);
  ASSERT_EQ(management.Change("POST", "/admin/backends", address).status, 200);
  EXPECT_EQ(state(), "drain");
  ASSERT_EQ(management.Change("POST", "/admin/backends/undrain", name).status, 200);
  EXPECT_NE(state(), "drain");
  EXPECT_EQ(management.Change("POST", "/admin/backends", address).status, 409);
  ASSERT_EQ(management.Change("DELETE", "/admin/backends", name).status, 200);
  EXPECT_TRUE(WaitFor([&] { return FetchOnce(proxy.endpoint()).status == 503; })) << "also the one with a weight of its own";
  EXPECT_EQ(management.Change("DELETE", "/admin/backends", address).status, 404);
}

TEST_F(Resolve, AReloadBringsNewNames) {
  const FakeBackend one(At("127.0.0.11", port_)), two(At("127.0.0.12", port_));
  Hosts("127.0.0.11 moving.test\n127.0.0.12 other.test\n");
  ConfigFile config = Config();
  Proxy proxy(config);
  Prepare(&proxy);
  ASSERT_TRUE(proxy.Start());
  ASSERT_TRUE(proxy.Reload(config.ClearBackends().Backend("{ host: other.test, port: " + std::to_string(port_) + " }")));
  EXPECT_EQ(Answering(proxy), std::set<std::string>{"127.0.0.12"});
}

TEST_F(Resolve, UnresolvableAtTheStartIsAnError) {
  const CommandResult result = RunBinary({"-t", "-b", "no-such-name.invalid:80"});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "cannot resolve \"no-such-name.invalid\"")) << result.err;
}

}  // namespace
}  // namespace ub::itest
