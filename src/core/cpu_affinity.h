// Which CPU a worker runs on (the key cpu_affinity).
//
// Bound, a worker keeps its caches, and two never share a CPU while another idles; but it also waits where somebody else
// uses its CPU. A child binds itself at its start; master and controller stay free.
#ifndef UB_CORE_CPU_AFFINITY_H_
#define UB_CORE_CPU_AFFINITY_H_

#include <cstdint>
#include <vector>

#include "core/status.h"

namespace ub {

// The CPUs that the calling thread may run on now, by their numbers. Empty: the kernel does not say.
std::vector<int> AllowedCpus();

// Binds the calling thread to one of the CPUs that it may run on now: the first for worker 0, the next for worker 1, and
// from the start again where there are more workers than CPUs. Gives the number of the CPU. Errors: kSystem.
Result<int> BindToCpu(uint32_t worker_id);

}  // namespace ub

#endif  // UB_CORE_CPU_AFFINITY_H_
