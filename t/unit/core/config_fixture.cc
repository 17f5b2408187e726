#include "config_fixture.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/config_yaml.h"

namespace ub {

ConfigDirectory::ConfigDirectory() {
  char name[] = "/tmp/ub-config-XXXXXX";
  EXPECT_NE(mkdtemp(name), nullptr);
  path_ = name;
}

ConfigDirectory::~ConfigDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void ConfigDirectory::Write(std::string_view name, std::string_view text) const {
  std::ofstream file(Path(name), std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  ASSERT_TRUE(file.flush().good()) << name;
}

ConfigSource ConfigDirectory::Source(const std::string& file) const {
  ConfigSource source;
  source.file = file;
  source.directory = path_;
  return source;
}

std::string Dump(const ConfigNode& node) {
  std::string out;
  switch (node.kind) {
    case ConfigNode::Kind::kNull:
      return "~";
    case ConfigNode::Kind::kScalar:
      return (node.untyped ? "'" : "") + (node.quoted ? "\"" + node.text + "\"" : node.text);
    case ConfigNode::Kind::kSequence:
      for (const ConfigNode& item : node.items) out += (out.empty() ? "" : ", ") + Dump(item);
      return out.empty() ? "[]" : "[ " + out + " ]";
    case ConfigNode::Kind::kMapping:
      for (const ConfigEntry& entry : node.entries)
        out += (out.empty() ? "" : ", ") + entry.key + ": " + Dump(entry.value);
      return out.empty() ? "{}" : "{ " + out + " }";
  }
  return out;
}

std::string Lines(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += (out.empty() ? "" : "\n") + line;
  return out;
}

std::string Lines(const ConfigProblems& problems) {
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : problems) lines.push_back(problem.ToString());
  return Lines(lines);
}

BindResult BindYaml(std::string_view text, const BindOptions& options) {
  ConfigProblems problems;
  const ConfigNode root = ParseYaml(text, "t", &problems);
  EXPECT_EQ(Lines(problems), "") << text;
  return BindConfig(root, options);
}

Config UnusualConfig() {
  Config c;
  c.listen = {{"10.1.2.3", 80, false, "10.1.2.3:80", false},
              {"::1", 81, false, "[::1]:81", true},
              {"/run/u b.sock", 0, true, "unix:/run/u b.sock", true}};
  c.workers = 3;
  c.max_connections = 77;
  c.algorithm = "power-of-two";
  c.hash_key = "cookie:session";
  c.default_weight = 7;
  c.backends = {{"10.0.0.1", 8080, false, 5, 6, false, "one"},
                {"fe80::1", 1, false, 65535, 0, true, "[fe80::1]:1", true},
                {"app.example", 65535, false, 1, 0, false, "a \"quoted\" \\ name; # of ours"},
                {"/run/app.sock", 0, true, 100, 0, false, "unix:/run/app.sock"}};
  c.health_check.enabled = false;
  c.health_check.type = "http";
  c.health_check.grpc_service = "orders.v1.Orders";
  c.health_check.interval_ms = 100;
  c.health_check.timeout_ms = 101;
  c.health_check.max_failures = 4;
  c.health_check.min_successes = 5;
  c.health_check.method = "GET";
  c.health_check.path = "/up?a=\"b\"";
  c.health_check.expected_status = {{200, 204}, {301, 301}};
  c.health_check.expected_body = "all: well; # {here}, 'yes' \\o/";
  c.health_check.headers = {{"Host", "a.example"}, {"X-List", "a, b; c=\"d\""}};
  c.health_check.circuit_breaker = {false, 8, 9, 10, 11};
  c.health_check.slow_start_ms = 12;
  c.health_check.panic_threshold_percent = 13;
  c.timeout = {14, 15, 16, 17, 18};
  c.connection_pool = {0, 19, 20};
  c.queue = {21, 22};
  c.retry = {23, false, false, true, true, true, true, 24};
  c.rate_limit = {true, 25, 26, "header:X-Key", {"10.0.0.0/8", "::1"}};
  c.limits = {2048, 27, 65, 3ull << 30, 28, 29, 30};
  c.proxy_protocol = {true, {"192.0.2.0/24"}};
  c.forwarded = {{"198.51.100.7"}, false, false, true, true};
  c.tls = {{{"/c/a.pem", "/c/a.pem", "", "", "", ""},
            {"/c/b.pem", "env:KEY", "/c/b.ocsp", "", "", ""},
            {"/c/c.pem", "/c/c.pem", "/c/c.ocsp", "", "", ""}},
           "1.3",
           "ECDHE+AESGCM:!aNULL",
           "P-256",
           {"http/1.0", "http/1.1"},
           false,
           77,
           "/c/ca.pem",
           "",
           true,
           true,
           88,
           "/c/first.ocsp"};
  c.http2 = {false, 34, 2048, 65536, 65537, 4097, 35, 101, 36, 37, 38, 39, 40, 41};
  c.backend_tls = {true, false, "/c/backends.pem", "b.example", {"/c/own.pem", "/c/own.key", "", "", "", ""}, ""};
  c.logging = {LogLevel::kDebug, "/var/log/e.log", "stdout", "json"};
  c.admin = {false, "unix:/run/a.sock", 31, true, "hunter2", false, true, "/var/lib/s"};
  c.shared_memory = {32, 2048};
  c.user = "someone";
  c.group = "some group";
  c.pid_file = "/run/p.pid";
  c.cpu_affinity = true;
  c.resolve_interval_ms = 33;
  return c;
}

std::string Repeat(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

}  // namespace ub
