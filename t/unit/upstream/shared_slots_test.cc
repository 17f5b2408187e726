// The property of the shared slots: processes hammer them and are killed between any two
// instructions, and no limit is ever exceeded, no count drifts, no ticket is lost, nothing is
// stuck. The parent does what the master does.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"
#include "support/slot_hammer.h"

namespace ub {
namespace {

using hammer::kHands;

constexpr int kKills = 1000;
constexpr uint32_t kWriter = kHands;  // the table's

class SharedSlots : public testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kOff);
    Result<ShmSegment> made = ShmSegment::Create(hammer::kLimits);
    ASSERT_TRUE(made);
    shm_.emplace(std::move(*made));
    void* memory = mmap(nullptr, sizeof(hammer::Witness), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    witness_ = new (memory) hammer::Witness{};
    for (uint32_t i = 0; i <= kHands; ++i) Fork(i);
  }
  void TearDown() override {
    for (const pid_t pid : pids_) {
      if (pid <= 0) continue;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    munmap(witness_, sizeof(hammer::Witness));
  }

  void Fork(uint32_t index) {
    const bool writer = index == kWriter;
    rows_[index] = shm_->TakeRow(writer ? ChildKind::kController : ChildKind::kWorker, index);
    ASSERT_NE(rows_[index], kNoRow);
    const uint64_t seed = ++seed_;
    pids_[index] = fork();
    if (pids_[index] != 0) return;
    if (writer) {
      hammer::ChangeTable(*shm_, *witness_, seed);
    } else {
      hammer::Work(*shm_, rows_[index], index, *witness_, seed);
    }
    _exit(0);
  }
  void KillAndReplace(uint32_t index) {
    kill(pids_[index], SIGKILL);
    int status = 0;
    waitpid(pids_[index], &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it had ended by itself";
    witness_->Forget(index);
    shm_->ReleaseRow(rows_[index]);
    Fork(index);
  }
  // All are told to stop and give back what they hold: a process that does not is stuck.
  void StopAll() {
    witness_->stop = 1;
    const uint64_t deadline = MonotonicMs() + 60'000;
    for (uint32_t index = 0; index <= kHands; ++index) {
      int status = 0;
      pid_t ended = 0;
      while ((ended = waitpid(pids_[index], &status, WNOHANG)) == 0 && MonotonicMs() < deadline)
        usleep(1000);
      EXPECT_EQ(ended, pids_[index]) << "hand " << index << " is stuck";
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
          << "hand " << index << ": " << status;
      if (ended == pids_[index]) pids_[index] = 0;
    }
  }

  std::optional<ShmSegment> shm_;
  hammer::Witness* witness_ = nullptr;
  pid_t pids_[kHands + 1] = {};
  uint32_t rows_[kHands + 1] = {};
  uint64_t seed_ = 0;
};

TEST_F(SharedSlots, NothingDriftsWhileAThousandProcessesAreKilled) {
  Random random(20261125);
  uint64_t granted = 0;
  // At least that many, and more where tickets were few so far: how soon a breaker is half-open is chance too.
  const uint64_t enough_by = MonotonicMs() + 60'000;
  const auto go_on = [&](int i) {
    return i < kKills || (witness_->half_open <= 100 && MonotonicMs() < enough_by);
  };
  for (int i = 0; go_on(i) && witness_->violations == 0; ++i) {
    usleep(
        random.Below(3000));  // chance, not synchronisation: where it dies is what the test varies
    KillAndReplace(random.Below(kHands + 1));
    if (i % 100 != 99) continue;
    // The others go on: places are still granted.
    const uint64_t deadline = MonotonicMs() + 20'000;
    while (witness_->granted == granted && MonotonicMs() < deadline) usleep(1000);
    EXPECT_GT(witness_->granted.load(), granted) << "nobody gets a place any more after " << i + 1;
    granted = witness_->granted;
  }
  StopAll();
  EXPECT_EQ(witness_->violations.load(), 0u) << witness_->Summary();
  EXPECT_GT(witness_->granted.load(), 10'000u) << witness_->Summary();
  EXPECT_GT(witness_->half_open.load(), 100u) << witness_->Summary();
  EXPECT_GT(witness_->refused.load(), 100u) << witness_->Summary();
  EXPECT_GT(witness_->table_changes.load(), 100u) << witness_->Summary();
  uint64_t generations = 0;
  for (uint32_t b = 0; b < hammer::kSlots; ++b) generations += shm_->slot(b).generation;
  EXPECT_GT(generations, 2u * hammer::kSlots) << "slots were given to other addresses meanwhile";
  // The survivors gave back what they held, and of the dead nothing is left.
  EXPECT_EQ(hammer::GaugesLeft(*shm_), "");
  for (const uint32_t row : rows_) shm_->ReleaseRow(row);
  EXPECT_EQ(hammer::Leftovers(*shm_), "");
  RecordProperty("summary", witness_->Summary());
}

}  // namespace
}  // namespace ub
