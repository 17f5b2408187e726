#include "core/shm_segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

namespace ub {
namespace {

ShmSegment Make(ShmLimits limits = {4, 10, 16, 64}) {
  Result<ShmSegment> made = ShmSegment::Create(limits);
  EXPECT_TRUE(made);
  return std::move(*made);
}

TEST(ShmSegmentTest, FreshOneIsEmpty) {
  ShmSegment shm = Make();
  EXPECT_EQ(shm.processes(), 4u);
  EXPECT_EQ(shm.backends(), 10u);
  EXPECT_EQ(shm.sockets(), 16u);
  EXPECT_EQ(shm.Connections(), 0u);
  for (uint32_t s = 0; s < 16; ++s) EXPECT_EQ(shm.socket_owner(s).load(), kNoRow);
  for (uint32_t r = 0; r < 4; ++r) EXPECT_FALSE(shm.row_live(r));
}

TEST(ShmSegmentTest, CapacitiesOutOfRangeAreRefused) {
  for (const ShmLimits limits :
       {ShmLimits{0, 1, 1}, ShmLimits{kMaxProcesses + 1, 1, 1}, ShmLimits{1, 0, 1},
        ShmLimits{1, 1u << 30, 1}, ShmLimits{1, 1, 0}, ShmLimits{1, 1, 1, 0},
        ShmLimits{1, 1, 1, (1u << 26) + 1}}) {
    Result<ShmSegment> made = ShmSegment::Create(limits);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), StatusCode::kInvalid);
  }
}

// Every word of every region is written with a value of its own: an overlap would show.
TEST(ShmSegmentTest, RegionsDoNotOverlap) {
  ShmSegment shm = Make({3, 17, 5, 64});
  uint32_t value = 1;
  for (uint32_t s = 0; s < 5; ++s) shm.socket_owner(s) = value++;
  for (uint32_t r = 0; r < 3; ++r) {
    shm.row(r).connections = value++;
    for (uint32_t b = 0; b < 17; ++b) {
      shm.in_flight(r, b) = value++;
      shm.idle(r, b) = value++;
      shm.tickets(r, b) = value++;
      shm.counters(r, b).connects = value++;
      shm.latency(r, b).sum_ns = value++;
      shm.latency(r, b).buckets[kHistogramBuckets - 1] = value++;
    }
    shm.latency(r).sum_ns = value++;
    shm.latency(r).buckets[kHistogramBuckets - 1] = value++;
  }
  for (uint32_t b = 0; b < 17; ++b) {
    shm.base_counters(b).requests = value++;
    shm.base_latency(b).buckets[kHistogramBuckets - 1] = value++;
  }
  for (uint32_t b = 0; b < 17; ++b) shm.slot(b).weight = value++;
  for (uint32_t i = 0; i < 1000; ++i) {
    const std::string_view key(reinterpret_cast<const char*>(&i), sizeof i);
    shm.rate_table().Take(key, TokenBucket(10, 10), ~uint64_t{i} & TokenBucket::kTimeMask, i);
  }
  uint32_t expected = 1;
  for (uint32_t s = 0; s < 5; ++s) EXPECT_EQ(shm.socket_owner(s), expected++);
  for (uint32_t r = 0; r < 3; ++r) {
    EXPECT_EQ(shm.row(r).connections, expected++);
    for (uint32_t b = 0; b < 17; ++b) {
      EXPECT_EQ(shm.in_flight(r, b), expected++);
      EXPECT_EQ(shm.idle(r, b), expected++);
      EXPECT_EQ(shm.tickets(r, b), expected++);
      EXPECT_EQ(shm.counters(r, b).connects, expected++);
      EXPECT_EQ(shm.latency(r, b).sum_ns, expected++);
      EXPECT_EQ(shm.latency(r, b).buckets[kHistogramBuckets - 1], expected++);
    }
    EXPECT_EQ(shm.latency(r).sum_ns, expected++);
    EXPECT_EQ(shm.latency(r).buckets[kHistogramBuckets - 1], expected++);
  }
  for (uint32_t b = 0; b < 17; ++b) {
    EXPECT_EQ(shm.base_counters(b).requests, expected++);
    EXPECT_EQ(shm.base_latency(b).buckets[kHistogramBuckets - 1], expected++);
  }
  for (uint32_t b = 0; b < 17; ++b) EXPECT_EQ(shm.slot(b).weight, expected++);
  EXPECT_EQ(shm.header().magic, kShmMagic);
}

TEST(ShmSegmentTest, RowsOfTwoProcessesShareNoCacheLine) {
  ShmSegment shm = Make({2, 3, 1});
  const auto line = [](const void* p) { return reinterpret_cast<uintptr_t>(p) / kCacheLine; };
  EXPECT_NE(line(&shm.in_flight(0, 2)), line(&shm.in_flight(1, 0)));
  EXPECT_NE(line(&shm.idle(0, 2)), line(&shm.idle(1, 0)));
  EXPECT_NE(line(&shm.row(0).requests), line(&shm.row(1).state));
}

TEST(ShmSegmentTest, AttachSeesTheSameWords) {
  ShmSegment shm = Make();
  Result<ShmSegment> other = ShmSegment::Attach(UniqueFd(fcntl(shm.fd(), F_DUPFD_CLOEXEC, 0)));
  ASSERT_TRUE(other);
  shm.slot(3).weight = 77;
  other->in_flight(2, 9) = 5;
  EXPECT_EQ(other->slot(3).weight, 77u);
  EXPECT_EQ(shm.in_flight(2, 9), 5u);
}

TEST(ShmSegmentTest, AttachRefusesWhatIsNoSegment) {
  UniqueFd small(memfd_create("x", MFD_CLOEXEC));
  EXPECT_EQ(ShmSegment::Attach(std::move(small)).error().code(), StatusCode::kInvalid);
  UniqueFd zeros(memfd_create("x", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(zeros.get(), 1 << 20), 0);
  EXPECT_EQ(ShmSegment::Attach(std::move(zeros)).error().code(), StatusCode::kInvalid);
  ShmSegment shm = Make();
  shm.header().layout_version = kShmLayoutVersion + 1;
  EXPECT_EQ(ShmSegment::Attach(UniqueFd(fcntl(shm.fd(), F_DUPFD_CLOEXEC, 0))).error().code(),
            StatusCode::kInvalid);
  shm.header().layout_version = kShmLayoutVersion;
  shm.header().total_backends = 500;
  EXPECT_EQ(ShmSegment::Attach(UniqueFd(fcntl(shm.fd(), F_DUPFD_CLOEXEC, 0))).error().code(),
            StatusCode::kInvalid);
}

TEST(ShmSegmentTest, SizeIsSealed) {
  ShmSegment shm = Make();
  EXPECT_NE(ftruncate(shm.fd(), 0), 0);
  EXPECT_NE(ftruncate(shm.fd(), 1 << 30), 0);
}

TEST(ShmSegmentTest, RowsAreTakenUntilNoneIsLeft) {
  ShmSegment shm = Make();
  std::set<uint32_t> rows;
  for (uint32_t i = 0; i < 4; ++i) rows.insert(shm.TakeRow(ChildKind::kWorker, i));
  EXPECT_EQ(rows.size(), 4u);
  EXPECT_EQ(shm.TakeRow(ChildKind::kWorker, 9), kNoRow);
  shm.ReleaseRow(2);
  EXPECT_FALSE(shm.row_live(2));
  EXPECT_EQ(shm.TakeRow(ChildKind::kController, 0), 2u);
  EXPECT_TRUE(shm.row_live(2));
  EXPECT_EQ(shm.row(2).kind.load(), static_cast<uint32_t>(ChildKind::kController));
}

TEST(ShmSegmentTest, SumsCountLivingRowsOnly) {
  ShmSegment shm = Make();
  shm.header().backend_high_water = 10;
  const uint32_t a = shm.TakeRow(ChildKind::kWorker, 0);
  const uint32_t b = shm.TakeRow(ChildKind::kWorker, 1);
  shm.in_flight(a, 4) = 3;
  shm.in_flight(b, 4) = 4;
  shm.in_flight(3, 4) = 100;  // nobody's
  shm.row(a).connections = 5;
  EXPECT_EQ(shm.InFlight(4), 7u);
  EXPECT_EQ(shm.Connections(), 5u);
  shm.ReleaseRow(a);
  EXPECT_EQ(shm.InFlight(4), 4u);
  EXPECT_EQ(shm.Connections(), 0u);
}

TEST(ShmSegmentTest, SumsReachRowsPastTheFirstWordOfTheMap) {
  ShmSegment shm = Make({200, 2, 1});
  uint32_t row = 0;
  for (uint32_t i = 0; i < 130; ++i) {
    row = shm.TakeRow(ChildKind::kWorker, i);
    shm.in_flight(row, 1) = 1;
  }
  EXPECT_EQ(row, 129u);
  EXPECT_EQ(shm.InFlight(1), 130u);
}

TEST(ShmSegmentTest, ReleaseZeroesGaugesAndKeepsCounters) {
  ShmSegment shm = Make();
  shm.header().backend_high_water = 10;
  const uint32_t row = shm.TakeRow(ChildKind::kWorker, 0);
  for (uint32_t b = 0; b < 10; ++b) {
    shm.in_flight(row, b) = 1;
    shm.idle(row, b) = 2;
    shm.tickets(row, b) = 3;
    shm.counters(row, b).requests = 4;
  }
  shm.row(row).connections = 5;
  shm.row(row).requests = 6;
  shm.ReleaseRow(row);
  const uint32_t again = shm.TakeRow(ChildKind::kWorker, 7);
  ASSERT_EQ(again, row);
  for (uint32_t b = 0; b < 10; ++b) {
    EXPECT_EQ(shm.in_flight(row, b), 0u);
    EXPECT_EQ(shm.idle(row, b), 0u);
    EXPECT_EQ(shm.tickets(row, b), 0u);
    EXPECT_EQ(shm.counters(row, b).requests, 4u);
  }
  EXPECT_EQ(shm.row(row).connections, 0u);
  EXPECT_EQ(shm.row(row).requests, 6u);
}

// What a master that was killed in the middle of ReleaseRow leaves: the bit is clear, the gauges
// are not.
TEST(ShmSegmentTest, TakingARowClearsWhatAKilledMasterLeft) {
  ShmSegment shm = Make();
  shm.header().backend_high_water = 10;
  shm.in_flight(0, 3) = 9;
  shm.row(0).connections = 9;
  ASSERT_EQ(shm.TakeRow(ChildKind::kWorker, 0), 0u);
  EXPECT_EQ(shm.InFlight(3), 0u);
  EXPECT_EQ(shm.Connections(), 0u);
}

TEST(ShmSegmentTest, ChildrenWriteIntoTheInheritedMapping) {
  ShmSegment shm = Make();
  const uint32_t row = shm.TakeRow(ChildKind::kWorker, 0);
  const pid_t pid = fork();
  if (pid == 0) {
    shm.in_flight(row, 1).fetch_add(2);
    _exit(0);
  }
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(shm.InFlight(1), 2u);
}

TEST(ShmSegmentTest, MovesKeepTheMapping) {
  ShmSegment a = Make();
  a.slot(0).weight = 9;
  ShmSegment b = std::move(a);
  EXPECT_EQ(b.slot(0).weight, 9u);
  b = Make();
  EXPECT_EQ(b.slot(0).weight, 0u);
}

}  // namespace
}  // namespace ub
