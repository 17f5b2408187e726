#include "core/cpu_affinity.h"

#include <sched.h>

#include <array>
#include <cerrno>
#include <vector>

namespace ub {

Result<int> BindToCpu(uint32_t worker_id) {
  // Room for 8192 CPUs: the kernel refuses a set that is smaller than its own.
  std::array<cpu_set_t, 8> set{};
  if (sched_getaffinity(0, sizeof set, set.data()) != 0) return Fail(Status::System("sched_getaffinity", errno));
  std::vector<int> allowed;
  for (int cpu = 0; cpu < static_cast<int>(sizeof set) * 8; ++cpu) {
    if (CPU_ISSET_S(static_cast<size_t>(cpu), sizeof set, set.data())) allowed.push_back(cpu);
  }
  if (allowed.empty()) return Fail(Status(StatusCode::kSystem, StatusSource::kProxy, "no CPU to run on"));
  const int chosen = allowed[worker_id % allowed.size()];
  set = {};
  CPU_SET_S(static_cast<size_t>(chosen), sizeof set, set.data());
  if (sched_setaffinity(0, sizeof set, set.data()) != 0) return Fail(Status::System("sched_setaffinity", errno));
  return chosen;
}

}  // namespace ub
