#include "core/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/cpu_affinity.h"

namespace ub {

std::string BackendConfig::AddressText() const {
  if (is_unix) return "unix:" + host;
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

uint32_t EffectiveWorkers(const Config& config) {
  if (config.workers != 0) return config.workers;
  return std::max<uint32_t>(1, static_cast<uint32_t>(AllowedCpus().size()));
}

}  // namespace ub
