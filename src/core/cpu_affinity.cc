#include "core/cpu_affinity.h"

#include <sched.h>

#include <array>
#include <cerrno>

namespace ub {

namespace {
// Room for 8192 CPUs: the kernel refuses a set that is smaller than its own.
using CpuSet = std::array<cpu_set_t, 8>;
}  // namespace

std::vector<int> AllowedCpus() {
  CpuSet set{};
  std::vector<int> allowed;
  if (sched_getaffinity(0, sizeof set, set.data()) != 0) return allowed;
  for (int cpu = 0; cpu < static_cast<int>(sizeof set) * 8; ++cpu) {
    if (CPU_ISSET_S(static_cast<size_t>(cpu), sizeof set, set.data())) allowed.push_back(cpu);
  }
  return allowed;
}

Result<int> BindToCpu(uint32_t worker_id) {
  const std::vector<int> allowed = AllowedCpus();
  if (allowed.empty()) return Fail(Status(StatusCode::kSystem, StatusSource::kProxy, "the kernel does not say which CPUs it may use"));
  const int chosen = allowed[worker_id % allowed.size()];
  CpuSet set{};
  CPU_SET_S(static_cast<size_t>(chosen), sizeof set, set.data());
  if (sched_setaffinity(0, sizeof set, set.data()) != 0) return Fail(Status::System("sched_setaffinity", errno));
  return chosen;
}

}  // namespace ub
