// Asks the processor for memory that will be used soon, so that a system call in between hides the wait for it.
//
// With thousands of requests in flight everything about one has left the caches when its response comes; docs/tuning.md
// says what this saves. Any process; has no effect that could be seen but time.
#ifndef UB_CORE_PREFETCH_H_
#define UB_CORE_PREFETCH_H_

#include <cstddef>

namespace ub {

// `bytes` from `at` on.
inline void Prefetch(const void* at, size_t bytes) {
  constexpr size_t kLineBytes = 64;
  for (size_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(static_cast<const char*>(at) + i, 1);
}

}  // namespace ub

#endif  // UB_CORE_PREFETCH_H_
