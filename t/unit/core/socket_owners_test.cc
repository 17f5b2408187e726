#include "core/socket_owners.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.h"
#include "core/shm_layout.h"

namespace ub {
namespace {

size_t Count(const std::vector<uint32_t>& owners, uint32_t row) {
  return static_cast<size_t>(std::count(owners.begin(), owners.end(), row));
}

size_t Moved(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  size_t moved = 0;
  for (size_t i = 0; i < a.size(); ++i) moved += a[i] != b[i];
  return moved;
}

TEST(SocketOwnersTest, NobodyToAccept) {
  EXPECT_EQ(AssignOwners({1, 2}, {}), (std::vector<uint32_t>{kNoRow, kNoRow}));
  EXPECT_TRUE(AssignOwners({}, {1}).empty());
}

TEST(SocketOwnersTest, FreshSocketsAreDealtInTurn) {
  EXPECT_EQ(AssignOwners(std::vector<uint32_t>(6, kNoRow), {5, 7, 9}),
            (std::vector<uint32_t>{5, 7, 9, 5, 7, 9}));
}

TEST(SocketOwnersTest, ADeadWorkersSocketsGoToTheSurvivors) {
  const std::vector<uint32_t> before =
      AssignOwners(std::vector<uint32_t>(32, kNoRow), {0, 1, 2, 3});
  const std::vector<uint32_t> after = AssignOwners(before, {0, 2, 3});
  EXPECT_EQ(Moved(before, after), 8u);  // only its own
  EXPECT_EQ(Count(after, 1), 0u);
  for (const uint32_t row : {0u, 2u, 3u})
    EXPECT_NEAR(static_cast<double>(Count(after, row)), 32 / 3.0, 1);
}

TEST(SocketOwnersTest, ANewWorkerGetsItsShareAndNoMoreMoves) {
  const std::vector<uint32_t> before = AssignOwners(std::vector<uint32_t>(16, kNoRow), {0, 1});
  const std::vector<uint32_t> after = AssignOwners(before, {0, 1, 2, 3});
  EXPECT_EQ(Moved(before, after), 8u);
  for (uint32_t row = 0; row < 4; ++row) EXPECT_EQ(Count(after, row), 4u);
}

TEST(SocketOwnersTest, FewerSocketsThanWorkers) {
  const std::vector<uint32_t> after = AssignOwners({kNoRow, kNoRow}, {0, 1, 2, 3});
  EXPECT_NE(after[0], after[1]);
  EXPECT_LT(after[0], 4u);
}

// Any history: shares are even, and nothing moves that need not.
TEST(SocketOwnersTest, RandomHistories) {
  Random random(42);
  std::vector<uint32_t> owners(64, kNoRow);
  for (int step = 0; step < 2000; ++step) {
    std::vector<uint32_t> rows;
    for (uint32_t row = 0; row < 12; ++row) {
      if (random.Below(2) != 0) rows.push_back(row);
    }
    const std::vector<uint32_t> next = AssignOwners(owners, rows);
    size_t must_move = 0;
    size_t odd = rows.empty() ? 0 : owners.size() % rows.size();
    std::vector<size_t> has;
    for (const uint32_t row : rows) has.push_back(Count(owners, row));
    std::sort(has.rbegin(), has.rend());
    size_t kept = 0;
    for (const size_t count : has) {
      const size_t share = owners.size() / rows.size() + (odd > 0 ? 1 : 0);
      if (odd > 0) --odd;
      kept += std::min(count, share);
    }
    must_move = owners.size() - kept;
    if (!rows.empty()) {
      for (const uint32_t row : rows) {
        ASSERT_GE(Count(next, row), owners.size() / rows.size());
        ASSERT_LE(Count(next, row), owners.size() / rows.size() + 1);
      }
      ASSERT_EQ(Moved(owners, next), must_move);
    }
    owners = next;
  }
}

}  // namespace
}  // namespace ub
