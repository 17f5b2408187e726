#include "http/http2_watch.h"

#include "gtest/gtest.h"

namespace ub {
namespace {

constexpr uint64_t kMs = 1'000'000;

Http2Config Limits() {
  Http2Config config;
  config.interval_ms = 100;
  config.max_resets = config.max_pings = config.max_settings = config.max_priorities = 3;
  config.max_empty_frames = config.max_window_updates = 3;
  return config;
}

TEST(Http2Watch, EachKindHasItsOwnCountWithinAnInterval) {
  const Http2Config config = Limits();
  Http2Watch watch;
  for (const Http2Cheap kind : {Http2Cheap::kReset, Http2Cheap::kPing, Http2Cheap::kSettings, Http2Cheap::kPriority,
                                Http2Cheap::kEmpty, Http2Cheap::kWindowUpdate}) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Allow(kind, config, 1000 * kMs));
    EXPECT_FALSE(watch.Allow(kind, config, 1099 * kMs)) << kHttp2CheapNames[static_cast<size_t>(kind)];
  }
  EXPECT_TRUE(watch.Allow(Http2Cheap::kReset, config, 1100 * kMs)) << "another interval";
}

TEST(Http2Watch, WhatIsAFaultByItselfIsNeverAllowed) {
  Http2Watch watch;
  EXPECT_FALSE(watch.Allow(Http2Cheap::kContinuation, Limits(), kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kHeaderList, Limits(), kMs));
}

TEST(Http2Watch, BytesThatWentOutPayForUpdatesOfWindows) {
  const Http2Config config = Limits();
  Http2Watch watch;
  EXPECT_TRUE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs));
  watch.Sent(2048, false);
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs)) << i;
  EXPECT_FALSE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1099 * kMs));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1100 * kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1100 * kMs)) << "what was paid before counts no more";
}

TEST(Http2Watch, AWindowThatOpensByABytePaysForNothing) {
  const Http2Config config = Limits();
  Http2Watch watch;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs));
    watch.Sent(1, false);
  }
  EXPECT_FALSE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs));
  // A small message that goes whole is another thing.
  watch.Sent(1, true);
  EXPECT_TRUE(watch.Allow(Http2Cheap::kWindowUpdate, config, 1000 * kMs));
}

TEST(Http2Watch, FramesOfBodiesPayForPingsAndResetsForResets) {
  const Http2Config config = Limits();
  Http2Watch watch;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Allow(Http2Cheap::kPing, config, 1000 * kMs));
  watch.Sent(10, true);
  watch.Reset();
  EXPECT_TRUE(watch.Allow(Http2Cheap::kPing, config, 1000 * kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kPing, config, 1000 * kMs));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(watch.Allow(Http2Cheap::kReset, config, 1000 * kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kReset, config, 1000 * kMs));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Allow(Http2Cheap::kReset, config, 1100 * kMs));
  EXPECT_FALSE(watch.Allow(Http2Cheap::kReset, config, 1100 * kMs)) << "what was paid before counts no more";
}

}  // namespace
}  // namespace ub
