#include "upstream/backend_view.h"

#include "upstream_fixture.h"

namespace ub {
namespace {

TEST(BackendView, CopiesTheConfigurationsOrderInTwoTiers) {
  auto specs = MakeSpecs(6);
  specs[1].backup = specs[4].backup = true;
  std::swap(specs[0].order, specs[5].order);
  Pool pool(8, 16);
  pool.Apply(specs);
  BackendView view(pool.shm(), 0);
  EXPECT_TRUE(view.Refresh());
  std::vector<uint32_t> primaries, backups;
  for (const ViewEntry& entry : view.tier(Tier::kPrimary)) primaries.push_back(entry.order);
  for (const ViewEntry& entry : view.tier(Tier::kBackup)) backups.push_back(entry.order);
  EXPECT_EQ(primaries, (std::vector<uint32_t>{0, 2, 3, 5}));
  EXPECT_EQ(backups, (std::vector<uint32_t>{1, 4}));
  EXPECT_EQ(view.entries().size(), 6u);
  EXPECT_EQ(view.Slot(view.tier(Tier::kPrimary)[0]).address_text, specs[5].text);
}

TEST(BackendView, CopiesOnlyWhereTheVersionMoved) {
  Pool pool(8, 16);
  pool.Apply(MakeSpecs(2));
  BackendView view(pool.shm(), 0);
  EXPECT_TRUE(view.Refresh());
  EXPECT_FALSE(view.Refresh());
  EXPECT_EQ(view.version(), pool.shm().header().table_version.load());
  pool.SetWeight(1, 7);
  EXPECT_EQ(view.entries()[1].weight, 100u);
  EXPECT_TRUE(view.Refresh());
  EXPECT_EQ(view.entries()[1].weight, 7u);
  ASSERT_TRUE(pool.table().Remove(pool.Find(0)).ok());
  EXPECT_TRUE(view.Refresh());
  EXPECT_EQ(view.entries().size(), 1u);
}

TEST(BackendView, AnEmptyTableIsBuiltOnce) {
  Pool pool(4, 8);
  BackendView view(pool.shm(), 0);
  EXPECT_TRUE(view.Refresh()) << "version 0 too is a version to acknowledge";
  EXPECT_FALSE(view.Refresh());
  EXPECT_TRUE(view.tier(Tier::kBackup).empty());
}

TEST(BackendView, PoolsAreApart) {
  Pool pool(4, 16);
  pool.Apply(MakeSpecs(2));
  ASSERT_TRUE(pool.table().Apply(1, MakeSpecs(3)).ok());
  BackendView first(pool.shm(), 0), second(pool.shm(), 1);
  first.Refresh();
  second.Refresh();
  EXPECT_EQ(first.entries().size(), 2u);
  EXPECT_EQ(second.entries().size(), 3u);
  EXPECT_NE(first.entries()[0].slot, second.entries()[0].slot);
  EXPECT_EQ(first.entries()[0].identity, second.entries()[0].identity) << "the address's hash";
}

TEST(BackendView, IdentityIsTheAddressWhateverTheSlot) {
  Pool a(4, 16), b(4, 16);
  auto specs = MakeSpecs(3);
  a.Apply(specs);
  std::swap(specs[0], specs[2]);
  b.Apply(specs);
  BackendView view_a(a.shm(), 0), view_b(b.shm(), 0);
  view_a.Refresh();
  view_b.Refresh();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(view_a.entries()[i].identity, view_b.entries()[i].identity);
  EXPECT_NE(view_a.entries()[0].identity, view_a.entries()[1].identity);
}

// Where an entry's slots lie far apart, each is looked up by itself; the sums are the same.
TEST(BackendView, SumsOfSlotsFarApart) {
  Pool pool(3, 256);
  const auto specs = MakeSpecs(250);
  pool.Apply(specs);
  pool.Apply({specs.front(), specs.back()});
  BackendView view(pool.shm(), 0);
  view.Refresh();
  ASSERT_EQ(view.entries().size(), 2u);
  ASSERT_GT(view.entries()[1].slot, 200u);
  for (uint32_t r = 0; r < 3; ++r) {
    ASSERT_EQ(pool.shm().TakeRow(ChildKind::kWorker, r), r);
    pool.shm().in_flight(r, view.entries()[0].slot) = r + 1;
    pool.shm().in_flight(r, view.entries()[1].slot) = 10 * (r + 1);
  }
  std::vector<uint32_t> sums(2, 12345);
  view.SumInFlight(view.entries(), sums);
  EXPECT_EQ(sums, (std::vector<uint32_t>{6, 60}));
}

TEST(BackendView, SumsOverLivingProcessesOnly) {
  Pool pool(70, 16);  // more rows than one word of the map holds
  pool.Apply(MakeSpecs(3));
  BackendView view(pool.shm(), 0);
  view.Refresh();
  for (uint32_t r = 0; r < 70; ++r) {
    ASSERT_EQ(pool.shm().TakeRow(ChildKind::kWorker, r), r);
    pool.shm().in_flight(r, view.entries()[1].slot) = r;
  }
  std::vector<uint32_t> sums(3, 12345);
  view.SumInFlight(view.entries(), sums);
  EXPECT_EQ(sums, (std::vector<uint32_t>{0, 69 * 70 / 2, 0}));
  EXPECT_EQ(view.InFlight(view.entries()[1].slot), 69u * 70 / 2);
  pool.shm().ReleaseRow(69);
  pool.shm().in_flight(69, view.entries()[1].slot) =
      1000;  // what a dead process's row holds is no matter
  EXPECT_EQ(view.InFlight(view.entries()[1].slot), 68u * 69 / 2);
  view.SumInFlight(view.entries().subspan(1, 1), sums);
  EXPECT_EQ(sums[0], 68u * 69 / 2);
}

}  // namespace
}  // namespace ub
