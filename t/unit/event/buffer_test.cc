#include "event/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace ub {
namespace {

TEST(Buffer, HoldsNoBlockUntilItIsWrittenToAndNoneOnceItIsEmpty) {
  BufferPool pool;
  Buffer buffer(&pool);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(pool.bytes_out(), 0u);
  buffer.Append("");
  EXPECT_EQ(pool.bytes_out(), 0u);
  buffer.Append("hello");
  EXPECT_EQ(buffer.view(), "hello");
  EXPECT_EQ(pool.bytes_out(), 1024u);
  buffer.Consume(2);
  EXPECT_EQ(buffer.view(), "llo");
  buffer.Consume(3);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(pool.bytes_out(), 0u);
}

TEST(Buffer, ReserveKeepsTheDataThroughEveryKindOfMove) {
  BufferPool pool;
  Buffer buffer(&pool);
  buffer.Append(std::string(900, 'a') + std::string(100, 'b'));
  buffer.Consume(900);
  // Room at the front is used where the rest can be moved down without overlap.
  buffer.Append(std::string(500, 'c'));
  EXPECT_EQ(pool.bytes_out(), 1024u);
  EXPECT_EQ(buffer.view(), std::string(100, 'b') + std::string(500, 'c'));
  buffer.Append(std::string(10000, 'd'));
  EXPECT_EQ(buffer.view(), std::string(100, 'b') + std::string(500, 'c') + std::string(10000, 'd'));
  EXPECT_EQ(pool.bytes_out(), 16384u);
}

TEST(Buffer, ReserveAndCommitWriteInPlace) {
  BufferPool pool;
  Buffer buffer(&pool);
  char* room = buffer.Reserve(100);
  EXPECT_GE(buffer.room(), 100u);
  std::memcpy(room, "direct", 6);
  buffer.Commit(6);
  EXPECT_EQ(buffer.view(), "direct");
}

TEST(Buffer, GrowthByTricklesIsDoublingAndNotOneBlockAByte) {
  BufferPool pool;
  Buffer buffer(&pool);
  std::string expected;
  const char* last = nullptr;
  int moves = 0;
  for (int i = 0; i < 300000; ++i) {
    const char c = static_cast<char>('a' + i % 26);
    buffer.Append({&c, 1});
    expected += c;
    moves += buffer.data() != last ? 1 : 0;
    last = buffer.data();
  }
  EXPECT_EQ(buffer.view(), expected);
  EXPECT_LE(moves, 12);
}

TEST(Buffer, AnyMixOfAppendAndConsumeIsTheSameAsAString) {
  std::mt19937 random(3);
  BufferPool pool;
  Buffer buffer(&pool);
  std::string model;
  for (int i = 0; i < 5000; ++i) {
    if (random() % 2 == 0) {
      const std::string piece(random() % 3000, static_cast<char>('a' + random() % 26));
      buffer.Append(piece);
      model += piece;
    } else if (!model.empty()) {
      const size_t bytes = random() % (model.size() + 1);
      buffer.Consume(bytes);
      model.erase(0, bytes);
    }
    ASSERT_EQ(buffer.size(), model.size());
    ASSERT_EQ(buffer.view(), model);
  }
  buffer.Clear();
  EXPECT_EQ(pool.bytes_out(), 0u);
}

TEST(Buffer, MovesLeaveOneOwner) {
  BufferPool pool;
  {
    Buffer one(&pool);
    one.Append("data");
    Buffer two(std::move(one));
    EXPECT_EQ(two.view(), "data");
    Buffer three(&pool);
    three.Append("old");
    three = std::move(two);
    EXPECT_EQ(three.view(), "data");
    EXPECT_EQ(pool.bytes_out(), 2048u) << "the old block goes with the object that it was swapped into";
  }
  EXPECT_EQ(pool.bytes_out(), 0u);
}

TEST(BufferPool, BlocksAreOfTheSmallestClassThatFitsAndComeBack) {
  BufferPool pool;
  for (const uint32_t size : BufferPool::kClasses) {
    uint32_t capacity = 0;
    char* block = pool.Take(size, &capacity);
    EXPECT_EQ(capacity, size);
    EXPECT_EQ(pool.bytes_out(), size);
    pool.Give(block, capacity);
    EXPECT_EQ(pool.bytes_out(), 0u);
    uint32_t again = 0;
    char* same = pool.Take(size - 1, &again);
    EXPECT_EQ(same, block) << "the warm block is used again";
    EXPECT_EQ(again, size);
    pool.Give(same, again);
  }
}

TEST(BufferPool, LargerBlocksAreExactAndNotKept) {
  BufferPool pool;
  uint32_t capacity = 0;
  char* block = pool.Take(1'000'000, &capacity);
  EXPECT_EQ(capacity, 1'000'000u);
  std::memset(block, 1, capacity);
  pool.Give(block, capacity);
  EXPECT_EQ(pool.bytes_out(), 0u);
}

TEST(BufferPool, KeepsNoMoreThanItsShareOfFreeBlocks) {
  // AddressSanitizer sees a block that is neither kept nor freed.
  BufferPool pool;
  std::vector<char*> blocks;
  uint32_t capacity = 0;
  const size_t many = BufferPool::kKeepBytes / 16384 + 100;
  for (size_t i = 0; i < many; ++i) blocks.push_back(pool.Take(16384, &capacity));
  EXPECT_EQ(pool.bytes_out(), many * 16384);
  for (char* block : blocks) pool.Give(block, capacity);
  EXPECT_EQ(pool.bytes_out(), 0u);
}

}  // namespace
}  // namespace ub
