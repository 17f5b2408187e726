#include "core/config_diff.h"

#include <gtest/gtest.h>

#include "config_fixture.h"
#include "core/config_keys.h"

namespace ub {
namespace {

using Words = std::vector<std::string>;

BackendConfig Backend(const std::string& host, uint32_t weight = 100) {
  BackendConfig backend;
  backend.host = host;
  backend.port = 80;
  backend.weight = weight;
  backend.name = backend.AddressText();
  return backend;
}

Config Base() {
  Config config;
  config.listen = {{"0.0.0.0", 8080, false, "0.0.0.0:8080"}};
  config.backends = {Backend("a"), Backend("b")};
  return config;
}

TEST(ConfigDiff, SaysInOneLineWhatChanges) {
  using Change = void (*)(Config&);
  const struct {
    Change change;
    const char* text;
  } kCases[] = {
      {[](Config&) {}, ""},
      {[](Config& c) { c.algorithm = "random"; }, "algorithm: round-robin → random"},
      {[](Config& c) { c.workers = 4; }, "workers: auto → 4"},
      {[](Config& c) { c.limits.body_bytes = 1 << 20; }, "limits.body_bytes: 0 → 1m"},
      {[](Config& c) { c.health_check.path = "/up"; }, "health_check.path: none → /up"},
      {[](Config& c) { c.backends.push_back(Backend("c")); }, "backends: +c:80"},
      {[](Config& c) { c.backends.erase(c.backends.begin()); }, "backends: -a:80"},
      {[](Config& c) { c.backends[0] = Backend("c"); }, "backends: +c:80 -a:80"},
      {[](Config& c) { std::swap(c.backends[0], c.backends[1]); }, "backends: another order"},
      {[](Config& c) { c.backends[0].weight = 5; }, "backends: a:80 weight 100 → 5"},
      {[](Config& c) { c.backends[1].max_connections = 9; },
       "backends: b:80 max_connections 0 → 9"},
      {[](Config& c) { c.backends[1].backup = true; }, "backends: b:80 now a backup"},
      {[](Config& c) { c.backends[1].name = "x"; }, "backends: b:80 name x"},
      {[](Config& c) {
         c.backends[0].weight = 5;
         c.backends[1] = Backend("c");
       },
       "backends: +c:80 -b:80, a:80 weight 100 → 5"},
      {[](Config& c) {
         c.listen.push_back({"::", 80, false, "[::]:80"});
       },
       "listen: +[::]:80"},
      {[](Config& c) {
         c.listen[0] = {"0.0.0.0", 80, false, "0.0.0.0:80"};
       },
       "listen: +0.0.0.0:80 -0.0.0.0:8080"},
      {[](Config& c) { c.forwarded.trust = {"10.0.0.0/8"}; }, "forwarded.trust: +10.0.0.0/8"},
      {[](Config& c) { c.retry.on_502 = true; }, "retry.on: +502"},
      {[](Config& c) {
         c.health_check.headers = {{"A", "b"}};
       },
       "health_check.headers: none → A: b"},
      {[](Config& c) {
         c.health_check.expected_status = {{200, 299}};
       },
       "health_check.expected_status: 200 → 200-299"},
      {[](Config& c) {
         c.algorithm = "random";
         c.timeout.idle_ms = 5;
       },
       "algorithm: round-robin → random; timeout.idle_ms: 60000 → 5"},
  };
  for (const auto& test : kCases) {
    Config after = Base();
    test.change(after);
    EXPECT_EQ(DiffConfig(Base(), after).text, test.text);
    EXPECT_EQ(DiffConfig(Base(), after).restart_keys, Words{}) << test.text;
  }
}

TEST(ConfigDiff, ASecretIsNotShown) {
  Config before = Base(), after = Base();
  before.admin.api_key = "hunter2";
  after.admin.api_key = "hunter3";
  EXPECT_EQ(DiffConfig(before, after).text, "admin.api_key: changed");
  EXPECT_EQ(DiffConfig(Base(), after).text, "admin.api_key: changed");
  EXPECT_EQ(DiffConfig(before, Base()).text, "admin.api_key: changed");
}

TEST(ConfigDiff, KeysThatNeedARestartAreNamed) {
  Config after = Base();
  after.user = "www-data";
  after.shared_memory.max_backends = 5;
  after.workers = 3;
  EXPECT_EQ(DiffConfig(Base(), after).restart_keys, (Words{"user", "shared_memory.max_backends"}));
}

TEST(ConfigDiff, ALongListIsCut) {
  Config after = Base();
  for (int i = 0; i < 1000; ++i) after.backends.push_back(Backend("n" + std::to_string(i)));
  const std::string text = DiffConfig(Base(), after).text;
  EXPECT_TRUE(text.starts_with("backends: +n0:80 +n1:80")) << text;
  EXPECT_TRUE(text.ends_with("+n9:80 and 990 more")) << text;
  Config heavier = after;
  for (BackendConfig& backend : heavier.backends) backend.weight = 7;
  const std::string weights = DiffConfig(after, heavier).text;
  EXPECT_TRUE(weights.ends_with("n7:80 weight 100 → 7 and 992 more")) << weights;
}

TEST(ConfigDiff, EveryKeyShowsUp) {
  const std::string text = DiffConfig(Config(), UnusualConfig()).text;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort) continue;
    EXPECT_NE(text.find(std::string(key.path) + ": "), std::string::npos) << key.path;
  }
  EXPECT_EQ(text.find("hunter"), std::string::npos);
}

}  // namespace
}  // namespace ub
