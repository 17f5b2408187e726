// What the binder makes of good trees, and what it checks over several keys. Its errors stand in the
// tables of config_load_test.cc.
#include "core/config_bind.h"

#include <gtest/gtest.h>

#include "config_fixture.h"
#include "core/config_keys.h"

namespace ub {
namespace {

constexpr std::string_view kBackends = "backends: [ \"127.0.0.1:1\" ]\n";

Config Bound(const std::string& text, const BindOptions& options = {}) {
  const BindResult result = BindYaml(text + std::string(kBackends), options);
  EXPECT_EQ(Lines(result.problems), "") << text;
  return result.config;
}

TEST(ConfigBind, WithoutKeysEverythingIsDefault) {
  Config expected;
  expected.listen = {{"0.0.0.0", 8080, false, "0.0.0.0:8080"}};
  expected.backends.resize(1);
  expected.backends[0] = {"127.0.0.1", 1, false, 100, 0, false, "127.0.0.1:1"};
  EXPECT_EQ(SerializeConfig(Bound("")), SerializeConfig(expected));
  EXPECT_EQ(SerializeConfig(Bound("timeout:\nhealth_check: { circuit_breaker: }\n")),
            SerializeConfig(expected))
      << "empty sections keep every default";
}

TEST(ConfigBind, AHealthPathMakesTheCheckHttp) {
  EXPECT_FALSE(Bound("").health_check.http());
  EXPECT_TRUE(Bound("health_check: { path: /up }\n").health_check.http());
  EXPECT_EQ(Bound("health_check: { type: http }\n").health_check.path, "/");
  EXPECT_EQ(Bound("health_check: { type: tcp }\n").health_check.path, "");
  EXPECT_EQ(Bound("health_check: { path: \"/a?b=c\", method: GET, expected_body: ok }\n")
                .health_check.expected_body,
            "ok");
}

TEST(ConfigBind, AManagementPortThatWasAskedForIsMarked) {
  EXPECT_FALSE(Bound("").admin.port_given);
  EXPECT_TRUE(Bound("admin: { listen_port: 8081 }\n").admin.port_given);
}

TEST(ConfigBind, TheManagementAddressNeedsAKeyOnlyWhereItCanBeReached) {
  const auto problems = [](const std::string& admin) {
    return Lines(BindYaml("admin: { " + admin + " }\n" + std::string(kBackends)).problems);
  };
  for (const char* good :
       {"listen_address: 127.9.9.9", "listen_address: \"::1\"", "listen_address: \"[::1]\"",
        "listen_address: \"unix:/run/a\"", "listen_address: 0.0.0.0, api_key: k",
        "listen_address: 0.0.0.0, enabled: false", "listen_port: 81"}) {
    EXPECT_EQ(problems(good), "") << good;
  }
  EXPECT_NE(problems("listen_address: 192.0.2.1"), "");
  EXPECT_NE(problems("listen_address: \"::\""), "");
  EXPECT_NE(problems("listen_address: \"::\", api_key: \"\""), "") << "an empty key is none";
  EXPECT_NE(problems("on_main_port: true"), "");
  EXPECT_NE(problems("on_main_port: true, api_key: \"\""), "");
  EXPECT_EQ(problems("on_main_port: true, api_key: k"), "");
  for (const char* proxied : {"forwarded: { trust: [ 10.0.0.0/8 ] }\n", "proxy_protocol: { accept: true, trust: [ 127.0.0.1 ] }\n"}) {
    const std::string local = "listen: 127.0.0.1:80\n" + std::string(kBackends);
    EXPECT_EQ(Lines(BindYaml("admin: { on_main_port: true }\n" + local).problems), "");
    EXPECT_NE(Lines(BindYaml("admin: { on_main_port: true }\n" + (proxied + local)).problems), "") << proxied;
    EXPECT_EQ(Lines(BindYaml("admin: { on_main_port: true, api_key: k }\n" + (proxied + local)).problems), "") << proxied;
  }
  EXPECT_NE(problems("listen_port: 8080"), "") << "the port of the listener for all";
  EXPECT_EQ(problems("listen_port: 8080, listen_address: \"unix:/run/a\""), "");
}

TEST(ConfigBind, WhatIsMissingIsNoFaultOfAHalfReadFile) {
  ConfigProblems problems;
  EXPECT_EQ(Lines(BindYaml("workers: 1\n", {.complete = false}).problems), "");
  EXPECT_NE(Lines(BindYaml("workers: 1\n").problems), "");
}

TEST(ConfigBind, EveryProblemOfAFileIsFoundInItsOrder) {
  const BindResult result = BindYaml(
      "backends: [ \"a\" ]\nworkers: x\nqueue:\n  max_requests: -1\n  x: 1\nlisten_port: 0\n");
  EXPECT_EQ(Lines(result.problems),
            "t:1:13: backends: \"a\" has no port (HOST:PORT)\n"
            "t:2:10: workers: \"x\" is not a whole number (1 to 512, or auto)\n"
            "t:4:17: queue.max_requests: -1 is out of range (0 to 1000000)\n"
            "t:5:3: queue: unknown key \"x\" (see `ultrabalancer example` for every key)\n"
            "t:6:14: listen_port: 0 is out of range (1 to 65535)");
}

}  // namespace
}  // namespace ub
