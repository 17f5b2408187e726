// Printed and read again, a configuration is the same, in each of the three formats.
#include "core/config_print.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config_fixture.h"
#include "core/config_keys.h"

namespace ub {
namespace {

constexpr struct {
  ConfigFormat format;
  const char* extension;
} kFormats[] = {
    {ConfigFormat::kYaml, ".yaml"}, {ConfigFormat::kToml, ".toml"}, {ConfigFormat::kIni, ".ini"}};

std::string Quoted(const Config& config) { return SerializeConfig(config); }

Config Reread(const std::string& text, ConfigFormat format) {
  ConfigProblems problems;
  const ConfigNode root = ParseConfigText(format, text, "printed", &problems);
  BindResult bound = BindConfig(root, {});
  EXPECT_EQ(Lines(problems) + Lines(bound.problems), "") << text;
  return bound.config;
}

TEST(ConfigPrint, EveryFormatIsReadBackTheSame) {
  Config usual;
  usual.listen = {{"0.0.0.0", 8080, false, "0.0.0.0:8080", false}};
  usual.backends.resize(1);
  usual.backends[0] = {"10.0.0.1", 80, false, 100, 0, false, "10.0.0.1:80"};
  for (const Config& config : {usual, UnusualConfig()}) {
    for (const auto& [format, extension] : kFormats) {
      const std::string text = PrintConfig(config, {.format = format, .secrets = true});
      EXPECT_EQ(Quoted(Reread(text, format)), Quoted(config)) << extension << "\n" << text;
    }
  }
}

TEST(ConfigPrint, ASecretIsLeftOut) {
  for (const auto& [format, extension] : kFormats) {
    const std::string text = PrintConfig(UnusualConfig(), {.format = format});
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << extension;
    EXPECT_NE(text.find("(hidden)"), std::string::npos) << extension;
    EXPECT_EQ(Reread(text, format).admin.api_key, "") << extension;
  }
}

// The exact example that is shipped, and it is a good configuration in each format.
TEST(ConfigPrint, TheExampleIsCompleteInEveryFormat) {
  for (const auto& [format, extension] : kFormats) {
    const std::string text = PrintExample(format);
    const Config config = Reread(text, format);
    EXPECT_EQ(config.backends.size(), 2u) << extension;
    for (const ConfigKey& key : ConfigKeys()) {
      const size_t dot = key.path.rfind('.');
      const std::string name(key.path.substr(dot == std::string_view::npos ? 0 : dot + 1));
      const bool own_section =
          format != ConfigFormat::kYaml &&
          (key.type == KeyType::kBackendList || key.type == KeyType::kHeaderMap);
      const bool there =
          own_section ||
          text.find(name + (format == ConfigFormat::kYaml ? ":" : " =")) != std::string::npos;
      EXPECT_TRUE(there) << key.path << " in " << extension;
      EXPECT_NE(text.find(key.type == KeyType::kBackendList ? "The servers" : key.meaning),
                std::string::npos)
          << key.path << " in " << extension;
      // What stands in it is the default, but for what it has to show something for.
      if (key.active && key.type != KeyType::kBackendList) {
        EXPECT_EQ(GetKeyValue(key, config), DefaultKeyValue(key))
            << key.path << " in " << extension;
      }
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120u) << line;
  }
}

// The lines that are commented out can be taken in: without their "# " they are good too.
TEST(ConfigPrint, WhatTheExampleCommentsOutIsGoodAsWell) {
  std::string text = PrintExample(ConfigFormat::kYaml);
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.active || key.type == KeyType::kListenList || key.type == KeyType::kSecret) continue;
    const std::string name(key.path.substr(key.path.rfind('.') + 1));
    const size_t at = text.find("# " + name + ": ");
    ASSERT_NE(at, std::string::npos) << key.path;
    text.erase(at, 2);
  }
  text.replace(text.find("method: HEAD"), 12, "method: GET");
  const Config config = Reread(text, ConfigFormat::kYaml);
  EXPECT_EQ(config.health_check.path, "/health");
  EXPECT_EQ(config.admin.state_file, "/var/lib/ultrabalancer/state");
}

TEST(ConfigPrint, EachValueTellsItsSource) {
  ConfigDirectory directory;
  directory.Write("a.yaml",
                  "listen: [ \"127.0.0.1:99\" ]\nworkers: 2\nhealth_check: { path: /up }\n"
                  "admin: { api_key: hunter2 }\nbackends:\n  - \"127.0.0.1:1\"\n");
  ConfigSource source = directory.Source("a.yaml");
  source.environment = {{"ULTRA_MAX_CONNECTIONS", "55"}};
  source.flags = {{"--algorithm", "algorithm", "random"},
                  {"-g queue.timeout_ms", "queue.timeout_ms", "2s"}};
  const auto loaded = LoadConfig(source);
  ASSERT_TRUE(loaded) << Lines(loaded.error().lines);
  const std::string text = PrintMergedConfig(*loaded);
  for (const char* line :
       {"listen_address: \"127.0.0.1\"  # a.yaml:1:9\n", "listen_port: 99  # a.yaml:1:9\n",
        "workers: 2  # a.yaml:2:10\n", "max_connections: 55  # environment ULTRA_MAX_CONNECTIONS\n",
        "algorithm: random  # flag --algorithm\n",
        "  timeout_ms: 2000  # flag -g queue.timeout_ms\n", "  type: http  # a.yaml:3:23\n",
        "  path: \"/up\"  # a.yaml:3:23\n", "hash_key: \"client_ip\"  # default\n",
        "  # api_key: (hidden)  # a.yaml:4:19\n",
        "  - { host: \"127.0.0.1\", port: 1, weight: 100 }  # a.yaml:6:5\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  Config expected = *loaded->config;
  expected.admin.api_key.clear();
  EXPECT_EQ(Quoted(Reread(text, ConfigFormat::kYaml)), Quoted(expected));
}

std::string SourceRoot() {
  const char* root = std::getenv("UB_SRCDIR");
  return root != nullptr ? root : ".";
}

// Each shipped example, turned into the other formats, means the same.
TEST(ConfigPrint, ShippedExamplesMeanTheSameInEveryFormat) {
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SourceRoot() + "/conf")) {
    const Result<ConfigFormat> from = FormatOfFile(entry.path().string());
    if (!from) continue;
    ++examples;
    std::stringstream file;
    file << std::ifstream(entry.path()).rdbuf();
    const Config config = Reread(file.str(), *from);
    for (const auto& [format, extension] : kFormats) {
      const std::string text = PrintConfig(config, {.format = format, .secrets = true});
      EXPECT_EQ(Quoted(Reread(text, format)), Quoted(config)) << entry.path() << extension;
    }
  }
  EXPECT_GE(examples, 1);
}

}  // namespace
}  // namespace ub
