#include "core/clock.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace ub {
namespace {

TEST(ClockTest, MonotonicNeverGoesBack) {
  uint64_t last = MonotonicNs();
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t now = MonotonicNs();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GE(MonotonicMs(), last / 1'000'000);
}

TEST(ClockTest, LogTimeIsReadable) {
  setenv("TZ", "UTC", 1);
  tzset();
  EXPECT_EQ(LogTime(1'795'392'000'123u), "2026/11/23 00:00:00.123");
  EXPECT_EQ(LogTime(1'795'392'000'007u), "2026/11/23 00:00:00.007");  // the cached second
  EXPECT_EQ(LogTime(1'795'392'061'000u), "2026/11/23 00:01:01.000");
  unsetenv("TZ");
  tzset();
}

TEST(ClockTest, HttpDateIsNow) {
  const time_t before = time(nullptr);
  tm parts{};
  const std::string text(HttpDate());
  ASSERT_NE(strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts), nullptr) << text;
  EXPECT_GE(timegm(&parts), before);
  EXPECT_LE(timegm(&parts), time(nullptr));
  EXPECT_EQ(text.size(), 29u);
}

TEST(ClockTest, UnixMsIsTheWallClock) {
  const uint64_t before = static_cast<uint64_t>(time(nullptr)) * 1000;
  const uint64_t now = UnixMs();
  EXPECT_GE(now + 1000, before);
  EXPECT_LE(now, before + 60'000);
}

}  // namespace
}  // namespace ub
