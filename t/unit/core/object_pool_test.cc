#include "core/object_pool.h"

#include "gtest/gtest.h"

namespace ub {
namespace {

struct Thing {
  explicit Thing(int made) : value(made) { ++alive; }
  ~Thing() { --alive; }
  int value;
  static int alive;
};
int Thing::alive = 0;

TEST(ObjectPool, GivesBackTheLastOneAsItWasLeft) {
  ObjectPool<Thing> pool(2);
  auto first = pool.Take(1), second = pool.Take(2);
  Thing* const last = second.get();
  second->value = 7;
  pool.Give(std::move(first));
  pool.Give(std::move(second));
  auto again = pool.Take(3);
  EXPECT_EQ(again.get(), last);
  EXPECT_EQ(again->value, 7);
  EXPECT_EQ(pool.free(), 1u);
}

TEST(ObjectPool, KeepsSoManyAndNoMore) {
  {
    ObjectPool<Thing> pool(2);
    auto a = pool.Take(1), b = pool.Take(2), c = pool.Take(3);
    pool.Give(std::move(a));
    pool.Give(std::move(b));
    pool.Give(std::move(c));
    EXPECT_EQ(pool.free(), 2u);
    EXPECT_EQ(Thing::alive, 2);
  }
  EXPECT_EQ(Thing::alive, 0);
}

}  // namespace
}  // namespace ub
