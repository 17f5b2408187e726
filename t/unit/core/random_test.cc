#include "core/random.h"

#include <gtest/gtest.h>

#include <set>

namespace ub {
namespace {

TEST(RandomTest, ASeedGivesItsSequenceAgain) {
  Random a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t value = a.Next();
    EXPECT_EQ(value, b.Next());
    differs |= value != c.Next();
  }
  EXPECT_TRUE(differs);
}

TEST(RandomTest, BelowStaysBelowAndIsEven) {
  Random random(1);
  int counts[10] = {};
  for (int i = 0; i < 100'000; ++i) {
    const uint32_t n = random.Below(10);
    ASSERT_LT(n, 10u);
    ++counts[n];
  }
  // 10,000 expected, standard deviation 95: seven of them away would be no chance.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 700);
  EXPECT_EQ(random.Below(0), 0u);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(RandomTest, UnitIsInItsInterval) {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double value = random.Unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.01);
}

TEST(RandomTest, NeighbouringSeedsShareNothing) {
  std::set<uint64_t> first;
  for (uint64_t seed = 0; seed < 1000; ++seed) first.insert(Random(seed).Next());
  EXPECT_EQ(first.size(), 1000u);
}

}  // namespace
}  // namespace ub
