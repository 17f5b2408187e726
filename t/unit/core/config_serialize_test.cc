#include "core/config_serialize.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

TEST(ConfigSerialize, ComesBackAsItWas) {
  for (const Config& config : {Config(), UnusualConfig()}) {
    const Result<Config> back = ParseSerializedConfig(SerializeConfig(config));
    ASSERT_TRUE(back);
    EXPECT_TRUE(*back == config);
  }
}

TEST(ConfigSerialize, TextsMayHoldAnything) {
  Config config;
  config.user = std::string("a\nb\0c 12 \xff", 11);
  config.health_check.headers = {{"", ""}, {"\n", "\n"}};
  const Result<Config> back = ParseSerializedConfig(SerializeConfig(config));
  ASSERT_TRUE(back);
  EXPECT_TRUE(*back == config);
}

TEST(ConfigSerialize, WhatIsCutIsRefused) {
  const std::string text = SerializeConfig(UnusualConfig());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseSerializedConfig(std::string_view(text).substr(0, size))) << size;
  }
  EXPECT_FALSE(ParseSerializedConfig(text + "x"));
}

// A text of another version differs somewhere; no difference may read out of bounds or take long.
TEST(ConfigSerialize, WhatIsChangedDoesNoHarm) {
  const std::string text = SerializeConfig(UnusualConfig());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'\n', '9', 'x'}) {
      std::string changed = text;
      changed[i] = c;
      const Result<Config> back = ParseSerializedConfig(changed);
      if (back) {
        EXPECT_EQ(SerializeConfig(*back).size(), text.size()) << i;
      }
    }
  }
  for (const char* bad : {"", "ultrabalancer-config 2\n", "ultrabalancer-config 1\n",
                          "ultrabalancer-config 1\n99999999999999999999999\n"}) {
    EXPECT_FALSE(ParseSerializedConfig(bad)) << bad;
  }
  std::string huge = text;
  huge.replace(huge.find("\nbackends\n4\n"), 12, "\nbackends\n4000000000\n");
  EXPECT_FALSE(ParseSerializedConfig(huge)) << "more backends than the text has bytes";
}

}  // namespace
}  // namespace ub
