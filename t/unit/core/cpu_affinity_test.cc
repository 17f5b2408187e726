#include "core/cpu_affinity.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace ub {
namespace {

// In a thread of its own: the affinity goes with it.
template <typename Body>
void InThread(Body body) {
  std::thread(body).join();
}

TEST(CpuAffinity, BindsToOneOfThoseThatWereAllowed) {
  InThread([] {
    cpu_set_t before, after;
    ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    const Result<int> cpu = BindToCpu(0);
    ASSERT_TRUE(cpu) << cpu.error().ToString();
    ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_EQ(CPU_COUNT(&after), 1);
    EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(*cpu), &after));
    EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(*cpu), &before));
  });
}

TEST(CpuAffinity, WorkersTakeTheCpusInTurnAndBeginAgain) {
  std::vector<int> allowed;
  InThread([&] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) allowed.push_back(static_cast<int>(cpu));
    }
  });
  ASSERT_FALSE(allowed.empty());
  for (uint32_t worker = 0; worker < allowed.size() + 2; ++worker) {
    InThread([&] {
      const Result<int> cpu = BindToCpu(worker);
      ASSERT_TRUE(cpu) << cpu.error().ToString();
      EXPECT_EQ(*cpu, allowed[worker % allowed.size()]) << "worker " << worker;
    });
  }
}

}  // namespace
}  // namespace ub
