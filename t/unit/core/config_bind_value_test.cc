// Good values of every type, from sources with types and without. Bad ones stand in the tables of
// config_load_test.cc.
#include "core/config_bind_value.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

// `text` bound to the key at `path`, as INI, the environment and flags give it; the value, or "! "
// and the problems.
std::string Untyped(const std::string& path, const std::string& text,
                    const BindOptions& options = {}) {
  const ConfigKey* key = FindConfigKey(path);
  EXPECT_NE(key, nullptr) << path;
  Config config;
  ConfigProblems problems;
  BindValue(*key, ConfigNode::Untyped(text, MakePosition("t")), options, &config, &problems);
  if (!problems.empty()) return "! " + Lines(problems);
  if (key->type == KeyType::kSecret) return config.admin.api_key;
  return GetKeyValue(*key, config).ToString();
}

TEST(ConfigBindValue, UntypedTextIsReadByTheTypeOfItsKey) {
  const struct {
    const char *path, *text, *value;
  } kCases[] = {
      {"workers", "3", "3"},
      {"workers", "auto", "auto"},
      {"cpu_affinity", "yes", "true"},
      {"cpu_affinity", "1", "true"},
      {"health_check.enabled", "off", "false"},
      {"limits.header_bytes", "64k", "64k"},
      {"limits.header_bytes", "65536", "64k"},
      {"limits.body_bytes", "8 MB", "8m"},
      {"timeout.idle_ms", "5s", "5000"},
      {"timeout.idle_ms", "250", "250"},
      {"health_check.circuit_breaker.timeout_seconds", "90", "90"},
      {"health_check.circuit_breaker.timeout_seconds", "2m", "120"},
      {"health_check.circuit_breaker.timeout_seconds", "3000ms", "3"},
      {"algorithm", "ip-hash", "ip-hash"},
      {"health_check.type", "http", "http"},
      {"logging.level", "warn", "warn"},
      {"logging.level", "off", "off"},
      {"logging.file", "stderr", "stderr"},
      {"logging.access_log", "/a/b", "/a/b"},
      {"pid_file", "", ""},
      {"user", "", ""},
      {"hash_key", "header:X-User", "header:X-User"},
      {"hash_key", "cookie:sid", "cookie:sid"},
      {"hash_key", "uri", "uri"},
      {"retry.on", "", ""},
      {"retry.on", "503, connect", "connect, 503"},
      {"rate_limit.exempt", "10.0.0.0/8, ::1", "10.0.0.0/8, ::1"},
      {"health_check.expected_status", "200-399", "200-399"},
      {"health_check.expected_status", "200, 301 - 302", "200, 301-302"},
      {"health_check.headers", "A=b, C: d", "A: b, C: d"},
      {"admin.listen_address", "[::1]", "::1"},
      {"admin.listen_address", "unix:/run/a", "unix:/run/a"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Untyped(test.path, test.text), test.value) << test.path << " " << test.text;
  }
}

TEST(ConfigBindValue, YamlValuesKeepTheirTypes) {
  const BindResult result = BindYaml(
      "backends: [ \"a:1\" ]\nworkers: auto\nuser: 1000\nalgorithm: \"random\"\n"
      "timeout: { idle_ms: \"5s\", connect_ms: 7s }\nlimits: { header_bytes: \"64k\" }\n"
      "retry: { on: connect }\nrate_limit: { exempt: \"::1\" }\n"
      "health_check: { expected_status: [ 200, 300-399 ], headers: { A: 5, B: true, C: \"\" } }\n"
      "cpu_affinity: on\n");
  EXPECT_EQ(Lines(result.problems), "");
  const Config& config = result.config;
  EXPECT_EQ(config.workers, 0u);
  EXPECT_EQ(config.user, "1000");
  EXPECT_EQ(config.algorithm, "random");
  EXPECT_EQ(config.timeout.idle_ms, 5000u);
  EXPECT_EQ(config.limits.header_bytes, 65536u);
  EXPECT_TRUE(config.retry.on_connect && !config.retry.on_reset);
  EXPECT_EQ(config.rate_limit.exempt, std::vector<std::string>{"::1"});
  EXPECT_EQ(config.health_check.expected_status, (StatusRanges{{200, 200}, {300, 399}}));
  EXPECT_EQ(config.health_check.headers.at("B"), "true");
  EXPECT_TRUE(config.cpu_affinity);
}

TEST(ConfigBindValue, RelativePathsMeanTheDirectoryOfTheStart) {
  const BindOptions options{.directory = "/start"};
  EXPECT_EQ(Untyped("pid_file", "run/p.pid", options), "/start/run/p.pid");
  EXPECT_EQ(Untyped("pid_file", "/run/p.pid", options), "/run/p.pid");
  EXPECT_EQ(Untyped("logging.access_log", "stdout", options), "stdout");
  EXPECT_EQ(Untyped("pid_file", "p.pid"), "p.pid");
}

TEST(ConfigBindValue, SecretsComeFromTextFileAndEnvironment) {
  ConfigDirectory directory;
  directory.Write("key", "  s3cret word\n");
  directory.Write("big", std::string(4097, 'k'));
  directory.Write("full", std::string(4096, 'k'));
  const EnvironmentMap environment = {{"KEY", "from env"}, {"EMPTY", ""}};
  const BindOptions options{.environment = &environment, .directory = directory.path()};
  const std::string key = "admin.api_key";
  EXPECT_EQ(Untyped(key, "plain", options), "plain");
  EXPECT_EQ(Untyped(key, "", options), "");
  EXPECT_EQ(Untyped(key, "file:" + directory.Path("key"), options), "s3cret word");
  EXPECT_EQ(Untyped(key, "file:key", options), "s3cret word") << "relative to the start";
  EXPECT_EQ(Untyped(key, "file:" + directory.Path("full"), options), std::string(4096, 'k'));
  EXPECT_EQ(Untyped(key, "env:KEY", options), "from env");
  EXPECT_EQ(Untyped(key, "file:" + directory.Path("big"), options),
            "! t: admin.api_key: " + directory.Path("big") + " is too large (at most 4096 bytes)");
  EXPECT_EQ(Untyped(key, "file:" + directory.path(), options),
            "! t: admin.api_key: cannot read " + directory.path() + ": Is a directory");
  EXPECT_EQ(Untyped(key, "env:EMPTY", options),
            "! t: admin.api_key: the secret is empty (remove the key for none)");
  EXPECT_EQ(Untyped(key, "env:KEY"),
            "! t: admin.api_key: the environment has no KEY (set it, or remove the key)");
}

TEST(ConfigBindValue, TokensOfHttp) {
  for (const char* good : {"X-A", "a", "!#$%&'*+-.^_`|~09"}) EXPECT_TRUE(IsHttpToken(good)) << good;
  for (const char* bad : {"", "a b", "a:", "a\xc3\xb6", "(a)", "a\t"}) {
    EXPECT_FALSE(IsHttpToken(bad)) << bad;
  }
}

}  // namespace
}  // namespace ub
