#include "core/config_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "config_fixture.h"

namespace ub {
namespace {

bool IsShortListen(const ConfigKey& key) {
  return key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort;
}

TEST(ConfigKeys, RowsAreWhole) {
  std::set<std::string_view> paths;
  std::set<std::string> names;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path << " stands twice";
    EXPECT_TRUE(names.insert(EnvironmentName(key)).second) << EnvironmentName(key);
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    EXPECT_LE(key.meaning.size(), 85u) << key.path << ": one line";
    EXPECT_FALSE(IsConfigSection(key.path)) << key.path << " is a key and a section";
    EXPECT_FALSE(DescribeType(key).empty()) << key.path;
    const bool ranged = key.type == KeyType::kInt || key.type == KeyType::kSize ||
                        key.type == KeyType::kDuration || key.type == KeyType::kListenPort;
    EXPECT_EQ(key.max > key.min, ranged) << key.path;
    const bool worded = key.type == KeyType::kEnum || key.type == KeyType::kEnumList;
    EXPECT_TRUE(!worded || Choices(key).size() >= 2) << key.path;
    EXPECT_EQ(key.unit == "ms", key.path.ends_with("_ms")) << key.path << ": its name has its unit";
    EXPECT_EQ(key.unit == "%", key.path.ends_with("_percent")) << key.path;
    EXPECT_EQ(key.type == KeyType::kSize, key.unit == "bytes") << key.path;
  }
}

// The defaults in config.h are values that the binder would take.
TEST(ConfigKeys, DefaultsAreInRange) {
  Config config;
  for (const ConfigKey& key : ConfigKeys()) {
    const FieldRef field = key.field(config);
    uint64_t value = key.min;
    if (auto* const* number = std::get_if<uint16_t*>(&field)) value = **number;
    if (auto* const* number = std::get_if<uint32_t*>(&field)) value = **number;
    if (auto* const* number = std::get_if<uint64_t*>(&field)) value = **number;
    if (!key.auto_value || value != *key.auto_value) {
      EXPECT_TRUE(value >= key.min && value <= key.max) << key.path << " " << value;
    }
    if (auto* const* text = std::get_if<std::string*>(&field); text && key.type == KeyType::kEnum) {
      EXPECT_EQ(std::ranges::count(Choices(key), std::string_view(**text)), 1) << key.path;
    }
    if (IsShortListen(key)) continue;
    EXPECT_EQ(DefaultKeyValue(key).ToString() == "", GetKeyValue(key, config).ToString() == "")
        << key.path;
  }
}

// The fixture is what other tests trust to miss nothing.
TEST(ConfigKeys, NothingIsUsualInTheUnusualConfig) {
  const Config unusual = UnusualConfig();
  for (const ConfigKey& key : ConfigKeys()) {
    if (IsShortListen(key)) continue;
    EXPECT_NE(GetKeyValue(key, unusual), DefaultKeyValue(key)) << key.path;
  }
}

// A field without a key could not be set: copying every key must make two Configs equal.
TEST(ConfigKeys, EveryFieldHasAKey) {
  const Config unusual = UnusualConfig();
  Config copy;
  for (const ConfigKey& key : ConfigKeys()) CopyKeyValue(key, unusual, &copy);
  copy.admin.port_given = unusual.admin.port_given;  // no key's value, but whether one is set
  copy.forwarded.client_certificates = unusual.forwarded.client_certificates;  // so is this, of tls.client_ca
  EXPECT_TRUE(copy == unusual);
}

TEST(ConfigKeys, NamesForTheEnvironment) {
  EXPECT_EQ(EnvironmentName(*FindConfigKey("health_check.circuit_breaker.timeout_seconds")),
            "ULTRA_HEALTH_CHECK_CIRCUIT_BREAKER_TIMEOUT_SECONDS");
}

TEST(ConfigKeys, BackendKeysAreDescribed) {
  std::set<std::string_view> names;
  for (const BackendKey& key : BackendKeys()) {
    names.insert(key.name);
    EXPECT_FALSE(key.type.empty() || key.meaning.empty()) << key.name;
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"host", "port", "weight", "max_connections",
                                               "backup", "protocol", "name"}));
}

}  // namespace
}  // namespace ub
