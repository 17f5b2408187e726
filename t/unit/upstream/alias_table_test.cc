#include "upstream/alias_table.h"

#include "policy_fixture.h"

namespace ub {
namespace {

std::vector<ViewEntry> Entries(const std::vector<uint32_t>& weights) {
  std::vector<ViewEntry> entries;
  for (const uint32_t weight : weights) entries.push_back({.weight = weight});
  return entries;
}

std::vector<uint64_t> Draw(const std::vector<uint32_t>& weights, uint64_t count, uint64_t seed) {
  const auto entries = Entries(weights);
  const AliasTable table(entries);
  Random random(seed);
  std::vector<uint64_t> drawn(weights.size());
  for (uint64_t n = 0; n < count; ++n) ++drawn.at(table.Draw(random));
  return drawn;
}

TEST(AliasTable, DrawsByWeight) {
  const std::vector<uint32_t> weights{1, 2, 3, 4, 5, 100, 100, 7, 50, 1000};
  const std::vector<double> shares(weights.begin(), weights.end());
  EXPECT_LT(ChiSquare(Draw(weights, 1'000'000, 1), shares), kChiSquare9);
  EXPECT_LT(ChiSquare(Draw(weights, 1'000'000, 2), shares), kChiSquare9);
  const std::vector<double> wrong{2, 2, 3, 4, 5, 100, 100, 7, 50, 1000};
  EXPECT_GT(ChiSquare(Draw(weights, 1'000'000, 1), wrong), kChiSquare9) << "the test can tell";
}

TEST(AliasTable, EqualWeightsAreEven) {
  EXPECT_LT(
      ChiSquare(Draw(std::vector<uint32_t>(100, 30), 1'000'000, 3), std::vector<double>(100, 1)),
      kChiSquare99);
}

TEST(AliasTable, OneEntryIsAlwaysDrawn) { EXPECT_EQ(Draw({5}, 1000, 4)[0], 1000u); }

TEST(AliasTable, ExtremeWeightsAreNeitherLostNorOverrun) {
  const auto drawn = Draw({1, 1'000'000, 1}, 3'000'000, 5);
  EXPECT_GT(drawn[1], 2'999'900u);
  EXPECT_GT(drawn[0] + drawn[2], 0u);
  std::vector<uint32_t> many(1000, 1);
  many[999] = 1'000'000;
  EXPECT_NEAR(static_cast<double>(Draw(many, 1'000'000, 6)[999]), 1e12 / 1'000'999, 200);
}

TEST(AliasTable, MeanWeight) {
  EXPECT_DOUBLE_EQ(AliasTable(Entries({1, 2, 6})).mean_weight(), 3);
  EXPECT_DOUBLE_EQ(AliasTable(Entries({})).mean_weight(), 1);
}

}  // namespace
}  // namespace ub
