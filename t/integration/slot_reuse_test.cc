// Slots of the backend table change tenants under requests that still run: the race is forced with
// tables that are too small for what a reload asks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "proxy.h"

namespace ub::itest {
namespace {

FakeBackend::Options Named(std::string name, Gate& release) {
  FakeBackend::Options options;
  options.name = std::move(name);
  options.record = false;
  options.handler = [&release](Exchange& exchange) {
    if (exchange.request.target == "/hold") exchange.Wait(release);
    FakeBackend::Serve(exchange);
  };
  return options;
}

class SlotReuse : public testing::Test {
 protected:
  SlotState State(uint32_t slot) { return SlotState(proxy_->segment().slot(slot).state.load()); }
  std::string Tenant(uint32_t slot) { return proxy_->segment().slot(slot).address_text; }
  uint32_t Generation(uint32_t slot) { return proxy_->segment().slot(slot).generation.load(); }
  bool Holds(uint32_t slot, const FakeBackend& backend) {
    return State(slot) == SlotState::kActive && Tenant(slot) == backend.endpoint().Text();
  }
  void Start(ConfigFile config) {
    proxy_ = std::make_unique<Proxy>(config.Workers(2).Set("shared_memory", "{ max_backends: 2 }"));
    ASSERT_TRUE(proxy_->Start());
  }

  Gate release_;
  FakeBackend a_{Named("a", release_)}, b_{Named("b", release_)}, c_{Named("c", release_)};
  std::unique_ptr<Proxy> proxy_;
};

TEST_F(SlotReuse, ASlotWaitsForItsLastRequest) {
  Start(ConfigFile().Backend(a_));
  Client holding(proxy_->endpoint());
  holding.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return a_.concurrent() == 1; }));
  const uint32_t generation = Generation(0);
  ASSERT_TRUE(proxy_->Reload(
      ConfigFile().Set("shared_memory", "{ max_backends: 2 }").Backend(b_).Backend(c_)));
  // There is room for one of the two; the other one's slot is under a request.
  ASSERT_TRUE(WaitFor([&] { return Holds(1, b_); }));
  const uint64_t version = proxy_->segment().header().table_version.load();
  ASSERT_TRUE(WaitFor([&] {
    return proxy_->segment().header().table_version.load() >= version + 3;
  })) << "the controller tries again and again";
  EXPECT_EQ(State(0), SlotState::kRemoved);
  EXPECT_EQ(Tenant(0), a_.endpoint().Text());
  EXPECT_EQ(Generation(0), generation);
  const uint64_t before = a_.requests();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(FetchOnce(proxy_->endpoint()).Value("X-Backend"), "b");
  EXPECT_EQ(a_.requests(), before) << "nothing new goes to the removed one";
  release_.Open();
  EXPECT_EQ(holding.Read().Value("X-Backend"), "a");
  ASSERT_TRUE(WaitFor([&] { return Holds(0, c_); })) << "its last request has ended";
  EXPECT_EQ(Generation(0), generation + 1);
  std::set<std::string> answering;
  EXPECT_TRUE(WaitFor([&] {
    answering.insert(FetchOnce(proxy_->endpoint()).Value("X-Backend"));
    return answering.size() == 2;
  }));
  EXPECT_TRUE(proxy_->WaitIdle());
}

// An idle worker sleeps; it must be woken to let go of what it never used.
TEST_F(SlotReuse, IdleWorkersDoNotHoldSlots) {
  Start(ConfigFile().Backend(a_).Backend(b_));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        proxy_->Reload(ConfigFile().Set("shared_memory", "{ max_backends: 2 }").Backend(c_)));
    ASSERT_TRUE(WaitFor([&] { return Holds(0, c_) || Holds(1, c_); })) << proxy_->Log();
    ASSERT_TRUE(proxy_->Reload(
        ConfigFile().Set("shared_memory", "{ max_backends: 2 }").Backend(a_).Backend(b_)));
    ASSERT_TRUE(WaitFor([&] {
      return (Holds(0, a_) && Holds(1, b_)) || (Holds(0, b_) && Holds(1, a_));
    })) << proxy_->Log();
  }
}

// Of a draining worker the same is true: it finishes on the old backend and begins nothing there.
TEST_F(SlotReuse, ADrainingWorkerHoldsItsSlotAndFollowsTheTable) {
  Start(ConfigFile().Backend(a_));
  std::vector<std::unique_ptr<Client>> holding, kept;
  for (int i = 0; i < 16; ++i) {
    holding.push_back(std::make_unique<Client>(proxy_->endpoint()));
    holding.back()->Send(RequestText("GET", "/hold"));
    kept.push_back(std::make_unique<Client>(proxy_->endpoint()));
    ASSERT_EQ(kept.back()->Get().Value("X-Backend"), "a");
  }
  ASSERT_TRUE(WaitFor([&] { return a_.concurrent() == 16; }));
  ConfigFile next = ConfigFile().Workers(1).Set("shared_memory", "{ max_backends: 2 }");
  ASSERT_TRUE(proxy_->Reload(next.Backend(b_).Backend(c_)));
  ASSERT_TRUE(WaitFor([&] { return Holds(1, b_); }));
  EXPECT_EQ(Tenant(0), a_.endpoint().Text());
  const uint64_t before = a_.requests();
  int closing = 0;
  for (auto& client : kept) {
    const Response response = client->Get();
    EXPECT_EQ(response.Value("X-Backend"), "b") << response.Outcome();
    closing += response.HasToken("Connection", "close") ? 1 : 0;
  }
  EXPECT_GT(closing, 0) << "some of them are the draining worker's";
  EXPECT_EQ(a_.requests(), before);
  release_.Open();
  for (auto& client : holding) EXPECT_EQ(client->Read().Value("X-Backend"), "a");
  EXPECT_TRUE(WaitFor([&] { return Holds(0, c_); }));
  EXPECT_TRUE(proxy_->WaitIdle());
}

TEST_F(SlotReuse, TenantsChangeUnderLoadAndEveryCountEndsAtZero) {
  const FakeBackend d{Named("d", release_)};
  const auto pair = [](const FakeBackend& one, const FakeBackend& two) {
    return ConfigFile()
        .Set("shared_memory", "{ max_backends: 3 }")
        .Backend(one, "max_connections: 64")
        .Backend(two, "max_connections: 64");
  };
  proxy_ = std::make_unique<Proxy>(pair(a_, b_));
  ASSERT_TRUE(proxy_->Start());
  LoadGenerator load(proxy_->endpoint(),
                     {.connections = 16, .most_bytes = 4096, .reconnect = true});
  load.Start();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(proxy_->Reload(i % 2 == 0 ? pair(c_, d) : pair(a_, b_)));
    const auto placed = [&](const FakeBackend& one) {
      return Holds(0, one) || Holds(1, one) || Holds(2, one);
    };
    ASSERT_TRUE(WaitFor([&] {
      return i % 2 == 0 ? placed(c_) && placed(d) : placed(a_) && placed(b_);
    })) << i;
    ASSERT_TRUE(load.WaitAnswers(50));
  }
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_TRUE(proxy_->WaitIdle());
  uint32_t most = 0;
  for (uint32_t b = 0; b < 3; ++b) most = std::max(most, Generation(b));
  EXPECT_GT(most, 2u) << "slots did change tenants";
}

}  // namespace
}  // namespace ub::itest
