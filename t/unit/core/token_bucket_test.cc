#include "core/token_bucket.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace ub {
namespace {

constexpr uint64_t kSecond = 1'000'000;

// A bucket with its number and a clock, as a caller keeps them.
struct Client {
  explicit Client(TokenBucket settings, uint64_t start = 5 * kSecond)
      : bucket(settings), now(start & TokenBucket::kTimeMask), until(now) {}
  TokenBucket::Verdict Take() {
    const TokenBucket::Verdict verdict =
        bucket.Take(until, now, static_cast<uint32_t>(random.Next()));
    until = verdict.until;
    return verdict;
  }
  void Pass(uint64_t us) { now = (now + us) & TokenBucket::kTimeMask; }
  uint32_t TakeAll() {
    uint32_t taken = 0;
    while (taken < 1'000'000 && Take().admitted) ++taken;
    return taken;
  }

  TokenBucket bucket;
  uint64_t now, until;
  Random random{7};
};

TEST(TokenBucketTest, HoldsItsCapacityAndNoMore) {
  for (const uint32_t capacity : {1u, 2u, 5u, 200u, 10'000u}) {
    Client client(TokenBucket(100, capacity));
    EXPECT_EQ(client.TakeAll(), capacity);
    client.Pass(3600 * kSecond);
    EXPECT_EQ(client.TakeAll(), capacity) << "it overflows instead of saving more";
  }
}

TEST(TokenBucketTest, CapacityAndRateOfZeroCountAsOne) {
  Client client(TokenBucket(0, 0));
  EXPECT_EQ(client.TakeAll(), 1u);
  client.Pass(kSecond - 1);
  EXPECT_EQ(client.TakeAll(), 0u);
  client.Pass(1);
  EXPECT_EQ(client.TakeAll(), 1u);
}

TEST(TokenBucketTest, RefusalSaysHowLongToWait) {
  Client client(TokenBucket(10, 3));
  EXPECT_EQ(client.TakeAll(), 3u);
  TokenBucket::Verdict verdict = client.Take();
  EXPECT_FALSE(verdict.admitted);
  EXPECT_EQ(verdict.wait_us, kSecond / 10);
  EXPECT_EQ(verdict.full_us, 3 * kSecond / 10);
  client.Pass(verdict.wait_us - 1);
  verdict = client.Take();
  EXPECT_FALSE(verdict.admitted) << "one microsecond early";
  EXPECT_EQ(verdict.wait_us, 1u);
  client.Pass(1);
  verdict = client.Take();
  EXPECT_TRUE(verdict.admitted);
  EXPECT_EQ(verdict.wait_us, 0u);
}

TEST(TokenBucketTest, RefusalsCostNothing) {
  Client client(TokenBucket(10, 1));
  EXPECT_TRUE(client.Take().admitted);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(client.Take().admitted);
  client.Pass(kSecond / 10);
  EXPECT_TRUE(client.Take().admitted);
}

// Rates whose tokens take no whole number of microseconds, or less than one.
TEST(TokenBucketTest, RateIsExact) {
  for (const uint32_t rate : {1u, 3u, 7u, 999u, 30'000u, 300'000u, 700'001u, 3'000'000u}) {
    Client client(TokenBucket(rate, std::max(rate / 10, 2u)));
    client.TakeAll();
    uint64_t taken = 0;
    for (int step = 0; step < 1000; ++step) {
      client.Pass(kSecond / 100);  // 10 seconds in all
      taken += client.TakeAll();
    }
    EXPECT_NEAR(static_cast<double>(taken), 10.0 * rate, 0.002 * 10 * rate + 1) << rate;
  }
}

TEST(TokenBucketTest, ClockMayStepBackAmongProcesses) {
  Client client(TokenBucket(1000, 10));
  client.TakeAll();
  for (int i = 0; i < 100; ++i) {
    client.now -= 500;
    EXPECT_FALSE(client.Take().admitted);
    client.now += 500;
  }
  client.Pass(1000);
  EXPECT_EQ(client.TakeAll(), 1u);
}

TEST(TokenBucketTest, TimeMayWrap) {
  Client client(TokenBucket(10, 5), TokenBucket::kTimeMask - kSecond / 10);
  EXPECT_EQ(client.TakeAll(), 5u);
  client.Pass(kSecond / 5);
  EXPECT_LT(client.now, kSecond);
  EXPECT_EQ(client.TakeAll(), 2u);
}

TEST(TokenBucketTest, StricterSettingsTakeOverAnOldBucket) {
  Client client(TokenBucket(1, 1000));
  client.TakeAll();  // full again in 1000 seconds
  client.bucket = TokenBucket(100, 10);
  EXPECT_FALSE(client.Take().admitted);
  client.Pass(kSecond / 100 + 1);
  EXPECT_TRUE(client.Take().admitted) << "the old debt is cut to what the new bucket holds";
  client.Pass(kSecond);
  EXPECT_EQ(client.TakeAll(), 10u);
}

TEST(TokenBucketTest, LongestBucketStaysOrderly) {
  Client client(TokenBucket(1, UINT32_MAX));
  EXPECT_EQ(client.TakeAll(), 1'000'000u);
  EXPECT_EQ(TokenBucket::Ahead(client.until, client.now), 1'000'000 * kSecond);
  client.Pass(2'000'000 * kSecond);
  EXPECT_EQ(TokenBucket::Ahead(client.until, client.now), 0u);
}

}  // namespace
}  // namespace ub
