// The property test of the shared slots as threads, for ThreadSanitizer: it sees no other process's
// accesses, but it sees every ordering that two threads of one have missed. A thread that "is
// killed" goes with everything in hand.
//
//   shared_slots_tsan [ROUNDS]     status 0 where no limit was broken and nothing was left behind
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"
#include "support/slot_hammer.h"

namespace ub::hammer {
namespace {

constexpr uint32_t kWriter = kHands;

class Run {
 public:
  explicit Run(ShmSegment& shm) : shm_(shm) {
    for (uint32_t index = 0; index <= kHands; ++index) Begin(index);
  }

  void KillAndReplace(uint32_t index) {
    witness_.abandon[index] = 1;
    threads_[index].join();
    witness_.Forget(index);
    shm_.ReleaseRow(rows_[index]);
    witness_.abandon[index] = 0;
    Begin(index);
  }
  // What is wrong; "".
  std::string End() {
    witness_.stop = 1;
    for (std::thread& thread : threads_) thread.join();
    printf("%s\n", witness_.Summary().c_str());
    if (witness_.violations != 0) return "a limit was broken";
    if (witness_.granted < 1000 || witness_.half_open == 0 || witness_.table_changes == 0)
      return "too little happened";
    if (std::string wrong = GaugesLeft(shm_); !wrong.empty()) return wrong;
    for (const uint32_t row : rows_) shm_.ReleaseRow(row);
    return Leftovers(shm_);
  }

 private:
  void Begin(uint32_t index) {
    const bool writer = index == kWriter;
    rows_[index] = shm_.TakeRow(writer ? ChildKind::kController : ChildKind::kWorker, index);
    const uint64_t seed = ++seed_;
    threads_[index] = std::thread([this, index, writer, seed, row = rows_[index]] {
      if (writer) {
        ChangeTable(shm_, witness_, seed);
      } else {
        Work(shm_, row, index, witness_, seed);
      }
    });
  }

  ShmSegment& shm_;
  Witness witness_{};
  std::thread threads_[kHands + 1];
  uint32_t rows_[kHands + 1] = {};
  uint64_t seed_ = 0;
};

int Main(int rounds) {
  SetLogLevel(LogLevel::kOff);
  auto shm = ShmSegment::Create(kLimits);
  if (!shm) {
    fprintf(stderr, "%s\n", shm.error().ToString().c_str());
    return 1;
  }
  Run run(*shm);
  Random random(20261125);
  for (int n = 0; n < rounds; ++n) {
    usleep(random.Below(20'000));
    run.KillAndReplace(random.Below(kHands + 1));
  }
  const std::string wrong = run.End();
  if (!wrong.empty()) fprintf(stderr, "shared_slots_tsan: %s\n", wrong.c_str());
  return wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace ub::hammer

int main(int argc, char** argv) { return ub::hammer::Main(argc > 1 ? atoi(argv[1]) : 500); }
