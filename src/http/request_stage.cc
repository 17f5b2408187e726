#include "http/request_stage.h"

#include <algorithm>

#include "http/https_redirect.h"
#include "http/rate_limiter.h"

namespace ub {

void RequestStages::Configure(const Config& config, const ShmSegment& shm, uint64_t seed) {
  stages_.clear();
  if (config.rate_limit.enabled) {
    stages_.push_back(std::make_unique<RateLimiter>(config.rate_limit, shm.rate_table(), seed));
  }
  if (config.tls.redirect_http) stages_.push_back(std::make_unique<HttpsRedirect>(config));
}

bool RequestStages::Admit(const StageRequest& request, StageResult* result) const {
  return std::ranges::all_of(stages_,
                             [&](const auto& stage) { return stage->Admit(request, result); });
}

}  // namespace ub
