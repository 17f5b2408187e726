#include "core/config.h"

#include <fmt/format.h>
#include <sched.h>

namespace ub {

std::string BackendConfig::AddressText() const {
  if (is_unix) return "unix:" + host;
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

uint32_t EffectiveWorkers(const Config& config) {
  if (config.workers != 0) return config.workers;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? static_cast<uint32_t>(count) : 1;
}

}  // namespace ub
