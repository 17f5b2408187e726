#include <gtest/gtest.h>

#include <algorithm>

#include "config_fixture.h"
#include "core/config_keys.h"

namespace ub {
namespace {

using Words = std::vector<std::string_view>;

TEST(ConfigKeyValue, FindsKeysAndSections) {
  EXPECT_EQ(FindConfigKey("health_check.interval_ms")->path, "health_check.interval_ms");
  for (const char* none : {"", "health_check", "health_check.", "interval_ms", "workers.x"}) {
    EXPECT_EQ(FindConfigKey(none), nullptr) << none;
  }
  EXPECT_TRUE(IsConfigSection("health_check"));
  EXPECT_TRUE(IsConfigSection("health_check.circuit_breaker"));
  for (const char* none : {"", "health", "workers", "health_check.interval_ms"}) {
    EXPECT_FALSE(IsConfigSection(none)) << none;
  }
  EXPECT_EQ(ConfigChildren("queue"), (Words{"max_requests", "timeout_ms"}));
  EXPECT_EQ(ConfigChildren("health_check.circuit_breaker").size(), 5u);
  EXPECT_EQ(ConfigChildren("none"), Words{});
  const Words top = ConfigChildren("");
  EXPECT_EQ(std::ranges::count(top, std::string_view("health_check")), 1);
  EXPECT_EQ(std::ranges::count(top, std::string_view("listen_port")), 1);
}

TEST(ConfigKeyValue, ValuesAsText) {
  const Config config = UnusualConfig();
  const struct {
    const char *path, *text;
  } kCases[] = {
      {"listen", "10.1.2.3:80, [::1]:81 tls, unix:/run/u b.sock tls"},
      {"listen_address", ""},  // there are several
      {"workers", "3"},
      {"algorithm", "power-of-two"},
      {"backends",
       "10.0.0.1:8080 weight 5 max_connections 6 name one, [fe80::1]:1 weight 65535 "
       "backup protocol h2, app.example:65535 weight 1 name a \"quoted\" \\ name; # of ours, "
       "unix:/run/app.sock weight 100"},
      {"health_check.enabled", "false"},
      {"health_check.type", "http"},
      {"health_check.expected_status", "200-204, 301"},
      {"health_check.headers", "Host: a.example, X-List: a, b; c=\"d\""},
      {"retry.on", "timeout, 502, 503, 504"},
      {"limits.header_bytes", "2k"},
      {"limits.body_bytes", "3g"},
      {"limits.uri_bytes", "65"},
      {"connection_pool.max_idle_per_backend", "0"},
      {"logging.level", "debug"},
      {"rate_limit.exempt", "10.0.0.0/8, ::1"},
      {"admin.api_key", "(hidden)"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(GetKeyValue(*FindConfigKey(test.path), config).ToString(), test.text) << test.path;
  }
}

TEST(ConfigKeyValue, DefaultsAsText) {
  const struct {
    const char *path, *text;
  } kCases[] = {
      {"listen_address", "0.0.0.0"},
      {"listen_port", "8080"},
      {"workers", "auto"},
      {"connection_pool.max_idle_per_backend", "auto"},
      {"health_check.expected_status", "200"},
      {"health_check.headers", ""},
      {"retry.on", "connect, reset"},
      {"limits.header_bytes", "32k"},
      {"admin.api_key", ""},
      {"logging.level", "info"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(DefaultKeyValue(*FindConfigKey(test.path)).ToString(), test.text) << test.path;
  }
}

TEST(ConfigKeyValue, ASecretIsComparedButNotShown) {
  const ConfigKey& key = *FindConfigKey("admin.api_key");
  Config a, b;
  a.admin.api_key = "hunter2";
  b.admin.api_key = "hunter3";
  EXPECT_NE(GetKeyValue(key, a), GetKeyValue(key, b));
  EXPECT_EQ(GetKeyValue(key, a), GetKeyValue(key, a));
  EXPECT_EQ(GetKeyValue(key, a).ToString(), "(hidden)");
  EXPECT_EQ(GetKeyValue(key, a).text.find("hunter"), std::string::npos);
}

TEST(ConfigKeyValue, TypesForPeople) {
  const struct {
    const char *path, *text;
  } kCases[] = {
      {"workers", "auto, or a whole number, 1 to 512"},
      {"retry.budget_percent", "whole number, 0 to 100 (percent)"},
      {"timeout.idle_ms", "duration, 1 to 86400000 ms"},
      {"health_check.circuit_breaker.timeout_seconds", "duration, 1 to 86400 s"},
      {"limits.header_bytes", "size, 1k to 1m"},
      {"health_check.type", "tcp | http | grpc"},
      {"logging.file", "stderr | path"},
      {"pid_file", "path"},
      {"hash_key", "client_ip | header:NAME | cookie:NAME | uri"},
      {"rate_limit.key", "client_ip | header:NAME | cookie:NAME"},
      {"retry.on", "list of connect | reset | timeout | 502 | 503 | 504"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(DescribeType(*FindConfigKey(test.path)), test.text) << test.path;
  }
}

TEST(ConfigKeyValue, SizesInTheirLargestUnit) {
  EXPECT_EQ(FormatSize(0), "0");
  EXPECT_EQ(FormatSize(1023), "1023");
  EXPECT_EQ(FormatSize(1024), "1k");
  EXPECT_EQ(FormatSize(1025), "1025");
  EXPECT_EQ(FormatSize(1 << 20), "1m");
  EXPECT_EQ(FormatSize(1536 * 1024), "1536k");
  EXPECT_EQ(FormatSize(1ull << 40), "1024g");
}

TEST(ConfigKeyValue, CopyTakesOneKeyOnly) {
  const Config from = UnusualConfig();
  Config to;
  CopyKeyValue(*FindConfigKey("shared_memory.max_backends"), from, &to);
  EXPECT_EQ(to.shared_memory.max_backends, 32u);
  to.shared_memory = {};
  EXPECT_TRUE(to == Config());
  CopyKeyValue(*FindConfigKey("listen_port"), from, &to);  // has no field of its own
  EXPECT_TRUE(to == Config());
}

}  // namespace
}  // namespace ub
