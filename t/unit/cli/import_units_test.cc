#include "cli/import_units.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

constexpr uint64_t kNone = UINT64_MAX;

TEST(ImportUnits, Times) {
  const struct {
    const char* text;
    uint64_t nginx, haproxy;
  } kCases[] = {
      {"30", 30'000, 30},
      {"500ms", 500, 500},
      {"10s", 10'000, 10'000},
      {"2m", 120'000, 120'000},
      {"1h", 3'600'000, 3'600'000},
      {"1d", 86'400'000, 86'400'000},
      {"1h30m", 5'400'000, kNone},
      {"1h 30m", 5'400'000, kNone},
      {"1500us", kNone, 2},
      {"1M", 2'592'000'000, 2'592'000'000},
      {"", kNone, kNone},
      {"s", kNone, kNone},
      {"-1", kNone, kNone},
      {"1x", kNone, kNone},
      {"99999999999999999999s", kNone, kNone},
      {"999999999999y", kNone, kNone},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(NginxTimeMs(test.text).value_or(kNone), test.nginx) << test.text;
    EXPECT_EQ(HaproxyTimeMs(test.text).value_or(kNone), test.haproxy) << test.text;
  }
}

TEST(ImportUnits, Sizes) {
  EXPECT_EQ(ImportSize("8k"), 8192u);
  EXPECT_EQ(ImportSize("1M"), 1u << 20);
  EXPECT_EQ(ImportSize("0"), 0u);
  EXPECT_FALSE(ImportSize("8kb"));
  EXPECT_FALSE(ImportSize("much"));
}

}  // namespace
}  // namespace ub
