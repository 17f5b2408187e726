#include "http/rate_limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace ub {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

class RateLimiterTest : public testing::Test {
 protected:
  RateLimiterTest() : shm_(std::move(*ShmSegment::Create({1, 1, 1, 1024}))) {
    config_.enabled = true;
    config_.requests_per_second = 10;
    config_.burst = 20;
  }
  // How many of 100 requests at once are admitted.
  int Burst(RateLimiter* limiter, std::string_view client, std::string_view header = "") {
    RequestHead head;
    if (!header.empty()) head.headers.push_back({"X-Key", header, HeaderId::kOther});
    const PeerAddress address = client.empty() ? PeerAddress() : PeerAddress::Parse(client).value();
    int admitted = 0;
    for (int i = 0; i < 100; ++i) {
      result_ = StageResult();
      admitted += limiter->Admit({head, address, now_ns_}, &result_);
    }
    return admitted;
  }
  RateLimiter Make() const { return RateLimiter(config_, shm_.rate_table(), 1); }

  ShmSegment shm_;
  RateLimitConfig config_;
  uint64_t now_ns_ = 100 * kSecondNs;
  StageResult result_;
};

TEST_F(RateLimiterTest, EachAddressHasItsBucket) {
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "192.0.2.1"), 20);
  EXPECT_EQ(Burst(&limiter, "192.0.2.1"), 0);
  EXPECT_EQ(Burst(&limiter, "192.0.2.2"), 20);
  now_ns_ += kSecondNs;
  EXPECT_EQ(Burst(&limiter, "192.0.2.1"), 10);
}

TEST_F(RateLimiterTest, RefusalIsAWholeAnswer) {
  RateLimiter limiter = Make();
  Burst(&limiter, "192.0.2.1");
  EXPECT_EQ(result_.status, 429);
  EXPECT_EQ(result_.rate_limit, RateVerdict::kLimited);
  EXPECT_EQ(result_.retry_after_seconds, 1u) << "a tenth of a second, rounded up";
  EXPECT_EQ(result_.fields,
            "RateLimit-Limit: 20\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: 2\r\n");
}

TEST_F(RateLimiterTest, Ipv6CountsByItsNetwork) {
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "2001:db8:1:2::1"), 20);
  EXPECT_EQ(Burst(&limiter, "2001:db8:1:2:ffff::1"), 0);
  EXPECT_EQ(Burst(&limiter, "2001:db8:1:3::1"), 20);
}

TEST_F(RateLimiterTest, ClientsOfAUnixSocketAreOne) {
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, ""), 20);
  EXPECT_EQ(Burst(&limiter, ""), 0);
}

TEST_F(RateLimiterTest, ExemptNetworksAreNotCounted) {
  config_.exempt = {"192.0.2.0/24", "2001:db8::/32"};
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "192.0.2.77"), 100);
  EXPECT_EQ(result_.rate_limit, RateVerdict::kExempt);
  EXPECT_EQ(Burst(&limiter, "2001:db8::1"), 100);
  EXPECT_EQ(Burst(&limiter, "192.0.3.77"), 20);
}

TEST_F(RateLimiterTest, HeaderTellsClientsApart) {
  config_.key = "header:X-Key";
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "192.0.2.1", "alice"), 20);
  EXPECT_EQ(Burst(&limiter, "192.0.2.2", "alice"), 0);
  EXPECT_EQ(Burst(&limiter, "192.0.2.1", "bob"), 20);
  EXPECT_EQ(Burst(&limiter, "192.0.2.1"), 20) << "without a header the address counts";
}

// 97.98.99.100 has the bytes of "abcd".
TEST_F(RateLimiterTest, HeaderCannotSpeakForAnAddress) {
  config_.key = "header:X-Key";
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "192.0.2.1", "abcd"), 20);
  EXPECT_EQ(Burst(&limiter, "97.98.99.100"), 20);
}

TEST_F(RateLimiterTest, BurstOfZeroIsOneAtATime) {
  config_.burst = 0;
  RateLimiter limiter = Make();
  EXPECT_EQ(Burst(&limiter, "192.0.2.1"), 1);
  EXPECT_NE(result_.fields.find("RateLimit-Limit: 1\r\n"), std::string::npos);
}

TEST_F(RateLimiterTest, NewSettingsKeepTheBuckets) {
  RateLimiter before = Make();
  EXPECT_EQ(Burst(&before, "192.0.2.1"), 20);
  config_.burst = 50;
  RateLimiter after = Make();
  EXPECT_EQ(Burst(&after, "192.0.2.1"), 30) << "what was taken is still taken";
}

TEST(RequestStagesTest, OnlyWhatIsTurnedOnIsThere) {
  const ShmSegment shm = std::move(*ShmSegment::Create({1, 1, 1, 1024}));
  Config config;
  RequestStages stages;
  stages.Configure(config, shm, 1);
  EXPECT_TRUE(stages.empty());
  config.rate_limit.enabled = true;
  config.rate_limit.burst = 1;
  stages.Configure(config, shm, 1);
  EXPECT_FALSE(stages.empty());
  const RequestHead head;
  const PeerAddress client = PeerAddress::Parse("192.0.2.1").value();
  StageResult result;
  EXPECT_TRUE(stages.Admit({head, client, 1}, &result));
  EXPECT_FALSE(stages.Admit({head, client, 1}, &result));
  EXPECT_EQ(result.status, 429);
  stages.Configure(Config(), shm, 1);
  EXPECT_TRUE(stages.empty());
}

}  // namespace
}  // namespace ub
