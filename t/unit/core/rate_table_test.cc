#include "core/rate_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/random.h"

namespace ub {
namespace {

constexpr uint64_t kSecond = 1'000'000;
constexpr uint64_t kStart = 77 * kSecond;

class RateTableTest : public testing::Test {
 protected:
  RateTableTest() { MakeTable(1024); }
  void MakeTable(size_t words) {
    words_ = std::vector<std::atomic<uint64_t>>(words);
    table_.emplace(std::span(words_), secret_);
  }
  bool Take(const std::string& key, const TokenBucket& bucket, uint64_t now) {
    return table_->Take(key, bucket, now, static_cast<uint32_t>(random_.Next())).admitted;
  }
  uint32_t TakeAll(const std::string& key, const TokenBucket& bucket, uint64_t now) {
    uint32_t taken = 0;
    while (taken < 100'000 && Take(key, bucket, now)) ++taken;
    return taken;
  }
  size_t Used() const {
    size_t used = 0;
    for (const auto& word : words_) used += word.load() != 0;
    return used;
  }

  static std::string Secret(uint64_t seed) {
    Random random(seed);
    std::string secret(RateTable::kSecretBytes, '\0');
    for (char& byte : secret) byte = static_cast<char>(random.Below(256));
    return secret;
  }

  std::string secret_ = Secret(1);
  std::vector<std::atomic<uint64_t>> words_;
  std::optional<RateTable> table_;
  Random random_{1};
};

TEST_F(RateTableTest, SizeIsAPowerOfTwo) {
  EXPECT_EQ(RateTable::WordsFor(1), RateTable::kWays);
  EXPECT_EQ(RateTable::WordsFor(1024), 1024u);
  EXPECT_EQ(RateTable::WordsFor(1025), 2048u);
  EXPECT_EQ(RateTable::WordsFor(67108864), 67108864u);
}

TEST_F(RateTableTest, EachClientHasItsOwnBucket) {
  const TokenBucket bucket(10, 5);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(TakeAll("client " + std::to_string(i), bucket, kStart), 5u);
  }
  EXPECT_EQ(Used(), 50u);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(TakeAll("client " + std::to_string(i), bucket, kStart + kSecond / 5), 2u);
  }
  EXPECT_EQ(Used(), 50u);
}

TEST_F(RateTableTest, AnotherSecretPlacesClientsElsewhere) {
  const TokenBucket bucket(10, 5);
  for (int i = 0; i < 20; ++i) Take("client " + std::to_string(i), bucket, kStart);
  std::vector<uint64_t> before(words_.size());
  for (size_t i = 0; i < words_.size(); ++i) before[i] = words_[i].load();
  secret_ = Secret(2);
  MakeTable(1024);
  for (int i = 0; i < 20; ++i) Take("client " + std::to_string(i), bucket, kStart);
  size_t same = 0;
  for (size_t i = 0; i < words_.size(); ++i)
    same += before[i] != 0 && before[i] == words_[i].load();
  EXPECT_EQ(same, 0u);
}

// Many processes, one client, one moment: exactly the bucket's capacity is admitted.
TEST_F(RateTableTest, IsExactWhereManyTakeAtOnce) {
  const TokenBucket bucket(10, 20'000);
  std::atomic<uint32_t> admitted{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 10'000; ++i) {
        admitted +=
            table_->Take("all", bucket, kStart, static_cast<uint32_t>(random.Next())).admitted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 20'000u);
}

// Every word belongs to an attacker that has used up its bucket.
TEST_F(RateTableTest, FullOfAttackersServesWhoeverKeepsToTheLimit) {
  const TokenBucket bucket(1, 10);
  for (int i = 0; i < 20'000; ++i) TakeAll("attacker " + std::to_string(i), bucket, kStart);
  EXPECT_EQ(Used(), 1024u);
  uint64_t now = kStart;
  for (int second = 0; second < 30; ++second) {
    for (int i = 0; i < 500; ++i)
      TakeAll("attacker " + std::to_string(random_.Below(20'000)), bucket, now);
    for (int good = 0; good < 200; ++good) {
      ASSERT_TRUE(Take("good " + std::to_string(good), bucket, now)) << good << " at " << second;
    }
    now += kSecond;
  }
}

// Keys that are made up for one request each push out each other, not the one who is over the
// limit.
TEST_F(RateTableTest, MadeUpKeysDoNotFreeAnAttacker) {
  const TokenBucket bucket(10, 100);
  EXPECT_EQ(TakeAll("attacker", bucket, kStart), 100u);
  for (int i = 0; i < 200'000; ++i) Take("made up " + std::to_string(i), bucket, kStart + 1);
  EXPECT_EQ(TakeAll("attacker", bucket, kStart + 1), 0u);
}

TEST_F(RateTableTest, FullBucketsMakeRoomFirst) {
  MakeTable(RateTable::kWays);  // one set
  const TokenBucket bucket(10, 10);
  for (size_t i = 0; i < RateTable::kWays; ++i) Take("old " + std::to_string(i), bucket, kStart);
  const uint64_t later = kStart + kSecond;
  EXPECT_EQ(TakeAll("first", bucket, later), 10u);
  for (size_t i = 1; i < RateTable::kWays; ++i) Take("new " + std::to_string(i), bucket, later);
  EXPECT_EQ(TakeAll("first", bucket, later), 0u)
      << "there was room in the buckets that were full again";
}

}  // namespace
}  // namespace ub
