#include "core/admission.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <optional>

#include "core/clock.h"

namespace ub {
namespace {

constexpr uint32_t kProcesses = 5;

// What the test's processes share besides the segment: who holds a place, as told by the holders
// themselves.
struct Witness {
  std::atomic<uint64_t> holders;  // a bit a row: one word, so that a look at it is a true moment
  std::atomic<uint64_t> granted[kProcesses];
  std::atomic<uint64_t> violations;
  std::atomic<uint32_t> stop, arrived, finished, round;
};

class AdmissionTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<ShmSegment> made = ShmSegment::Create({kProcesses, 4, 1});
    ASSERT_TRUE(made);
    shm_.emplace(std::move(*made));
    shm_->header().backend_high_water = 4;
    void* memory =
        mmap(nullptr, sizeof(Witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    witness_ = new (memory) Witness{};
  }
  void TearDown() override { munmap(witness_, sizeof(Witness)); }

  // Takes and gives back places for ever, and checks by the witness that no more than `limit` are
  // held. A holder tells the witness after it took the place and before it gives it back, so the
  // witness never counts too many.
  [[noreturn]] void Contend(uint32_t row, uint32_t limit) {
    while (witness_->stop.load() == 0) {
      if (!ReserveInFlight(*shm_, row, 2, limit)) continue;
      const uint64_t bit = uint64_t{1} << row;
      const uint64_t holders = witness_->holders.fetch_or(bit) | bit;
      if (static_cast<uint32_t>(std::popcount(holders)) > limit) witness_->violations.fetch_add(1);
      witness_->granted[row].fetch_add(1);
      witness_->holders.fetch_and(~bit);
      Unreserve(shm_->in_flight(row, 2));
    }
    _exit(0);
  }

  pid_t Fork(uint32_t* row, uint32_t limit) {
    *row = shm_->TakeRow(ChildKind::kWorker, 0);
    EXPECT_NE(*row, kNoRow);
    const pid_t pid = fork();
    if (pid == 0) Contend(*row, limit);
    return pid;
  }

  std::optional<ShmSegment> shm_;
  Witness* witness_ = nullptr;
};

TEST_F(AdmissionTest, GrantsUpToTheLimit) {
  const uint32_t a = shm_->TakeRow(ChildKind::kWorker, 0);
  const uint32_t b = shm_->TakeRow(ChildKind::kWorker, 1);
  EXPECT_TRUE(ReserveConnection(*shm_, a, 3));
  EXPECT_TRUE(ReserveConnection(*shm_, b, 3));
  EXPECT_TRUE(ReserveConnection(*shm_, a, 3));
  EXPECT_FALSE(ReserveConnection(*shm_, b, 3));
  EXPECT_FALSE(ReserveConnection(*shm_, a, 3));
  EXPECT_EQ(shm_->Connections(), 3u);
  Unreserve(shm_->row(a).connections);
  EXPECT_TRUE(ReserveConnection(*shm_, b, 3));
  EXPECT_EQ(shm_->Connections(), 3u);
}

TEST_F(AdmissionTest, NoLimitNeverRefuses) {
  const uint32_t row = shm_->TakeRow(ChildKind::kWorker, 0);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(ReserveInFlight(*shm_, row, 1, 0));
  EXPECT_EQ(shm_->InFlight(1), 1000u);
}

TEST_F(AdmissionTest, PlacesOfTheDeadAreFree) {
  const uint32_t a = shm_->TakeRow(ChildKind::kWorker, 0);
  const uint32_t b = shm_->TakeRow(ChildKind::kWorker, 1);
  ASSERT_TRUE(ReserveInFlight(*shm_, a, 0, 1));
  EXPECT_FALSE(ReserveInFlight(*shm_, b, 0, 1));
  shm_->ReleaseRow(a);
  EXPECT_TRUE(ReserveInFlight(*shm_, b, 0, 1));
}

// Several processes contend while they are killed at random instructions and replaced: the limit is
// never exceeded, and in the end nothing is left of any of them.
TEST_F(AdmissionTest, LimitHoldsWhileProcessesAreKilled) {
  constexpr uint32_t kLimit = 2;
  constexpr int kKills = 200;
  pid_t pids[kProcesses];
  uint32_t rows[kProcesses];
  for (uint32_t p = 0; p < kProcesses; ++p) pids[p] = Fork(&rows[p], kLimit);
  Random random(MonotonicNs());
  for (int i = 0; i < kKills; ++i) {
    const uint32_t victim = random.Below(kProcesses);
    usleep(
        random.Below(2000));  // chance, not synchronisation: where it dies is what the test varies
    kill(pids[victim], SIGKILL);
    waitpid(pids[victim], nullptr, 0);
    witness_->holders.fetch_and(~(uint64_t{1} << rows[victim]));
    shm_->ReleaseRow(rows[victim]);
    pids[victim] = Fork(&rows[victim], kLimit);
  }
  witness_->stop.store(1);
  uint64_t granted = 0;
  for (uint32_t p = 0; p < kProcesses; ++p) waitpid(pids[p], nullptr, 0);
  for (const auto& count : witness_->granted) granted += count.load();
  EXPECT_EQ(witness_->violations.load(), 0u);
  EXPECT_GT(granted, 1000u);
  EXPECT_EQ(shm_->InFlight(2),
            0u);  // the survivors gave back what they took, the dead left nothing
}

// Rounds of "everybody tries once at the same time": exactly `limit` get a place, never fewer.
TEST_F(AdmissionTest, NoPlaceIsLeftUnusedWhenAllTryAtOnce) {
  constexpr uint32_t kRounds = 1000;
  constexpr uint32_t kContenders = 4;
  pid_t pids[kContenders];
  const auto await = [](const std::atomic<uint32_t>& word, uint32_t value) {
    const uint64_t deadline = MonotonicMs() + 60'000;
    while (word.load() < value && MonotonicMs() < deadline) sched_yield();
  };
  for (uint32_t p = 0; p < kContenders; ++p) {
    const uint32_t row = shm_->TakeRow(ChildKind::kWorker, p);
    pids[p] = fork();
    if (pids[p] != 0) continue;
    for (uint32_t round = 1; round <= kRounds; ++round) {
      await(witness_->round, round);
      const bool got = ReserveInFlight(*shm_, row, 2, 1 + round % 3);
      if (got) witness_->granted[0].fetch_add(1);
      witness_->arrived.fetch_add(1);
      await(witness_->arrived, round * kContenders);
      if (got) Unreserve(shm_->in_flight(row, 2));
      witness_->finished.fetch_add(1);
    }
    _exit(0);
  }
  uint64_t expected = 0;
  uint32_t wrong = 0;
  for (uint32_t round = 1; round <= kRounds; ++round) {
    witness_->round.store(round);
    await(witness_->arrived, round * kContenders);
    expected += 1 + round % 3;
    if (witness_->granted[0].load() != expected) ++wrong;
    expected = witness_->granted[0].load();
    await(witness_->finished, round * kContenders);
  }
  for (const pid_t pid : pids) waitpid(pid, nullptr, 0);
  EXPECT_EQ(wrong, 0u) << "of " << kRounds << " rounds";
}

}  // namespace
}  // namespace ub
