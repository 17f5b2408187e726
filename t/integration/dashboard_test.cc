// The dashboard as the management address serves it; t/interop opens it in a browser.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_backend.h"
#include "management.h"
#include "proxy.h"

namespace ub::itest {
namespace {

TEST(Dashboard, IsServedWithAPolicyThatLetsItDoNothingElse) {
  const FakeBackend backend;
  ConfigFile config;
  config.Workers(1).Backend(backend);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const std::pair<const char*, const char*> files[] = {
      {"/dashboard", "text/html; charset=utf-8"},
      {"/dashboard/app.js", "text/javascript; charset=utf-8"},
      {"/dashboard/style.css", "text/css; charset=utf-8"},
      {"/dashboard/icon.svg", "image/svg+xml"}};
  for (const auto& [path, type] : files) {
    const Response answer = management.Get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.Value("Content-Type"), type);
    EXPECT_TRUE(answer.Value("Content-Security-Policy")
                    .starts_with("default-src 'none'; script-src 'self';"))
        << path;
    EXPECT_EQ(answer.Values("X-Content-Type-Options"), std::vector<std::string>{"nosniff"});
    EXPECT_EQ(answer.Values("Cache-Control"), std::vector<std::string>{"no-store"});
    EXPECT_EQ(answer.Values("Date").size(), 1u);
    EXPECT_FALSE(answer.body.empty());
    const Response head = management.Ask("HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.length, answer.body.size());
  }
  EXPECT_EQ(management.Ask("POST", "/dashboard").status, 405);
  EXPECT_EQ(management.Get("/dashboard/other.js").status, 404);
  EXPECT_EQ(management.Get("/dashboard/").status, 404);
}

TEST(Dashboard, IsGoneWhereItIsTurnedOff) {
  const FakeBackend backend;
  ConfigFile config;
  config.Workers(1).Backend(backend);
  const Management management(&config, "dashboard: false");
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(management.Get("/dashboard").status, 404);
  EXPECT_EQ(management.Get("/dashboard/app.js").status, 404);
  EXPECT_EQ(management.Get("/metrics").status, 200);
}

// What the page takes its latencies from.
TEST(Dashboard, HistogramHoldsEachRequestOnce) {
  FakeBackend backend;
  ConfigFile config;
  config.Workers(2).Backend(backend);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 30; ++i) EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_TRUE(
      management.Await([&] { return management.Fetch("/metrics")["total_requests"] == 30; }));
  const Json metrics = management.Fetch("/metrics");
  uint64_t count = 0;
  double before = 0;
  for (const Json& bucket : metrics["response_time_histogram"]) {
    EXPECT_GT(bucket[0].get<double>(), before) << "in ascending order";
    before = bucket[0].get<double>();
    count += bucket[1].get<uint64_t>();
  }
  EXPECT_EQ(count, 30u);
}

}  // namespace
}  // namespace ub::itest
