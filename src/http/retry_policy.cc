#include "http/retry_policy.h"

#include <algorithm>

namespace ub {
namespace {

constexpr uint32_t kMinBudget = 3;    // retries at once that a worker always may
constexpr uint32_t kMaxReusedDied = 3;  // a backend that restarts can leave a pool full of dead connections

bool Configured(const RetryConfig& config, const RetryQuestion& question) {
  switch (question.failure) {
    case TryFailure::kConnect: return config.on_connect;
    case TryFailure::kReusedDied:
    case TryFailure::kReset: return config.on_reset;
    case TryFailure::kTimeout: return config.on_timeout;
    case TryFailure::kStatus: return StatusIsFailure(config, question.status);
    case TryFailure::kBadResponse:
    case TryFailure::kRefused:
    case TryFailure::kUnaskable: return false;
  }
  return false;
}

}  // namespace

bool StatusIsFailure(const RetryConfig& config, uint16_t status) {
  return (status == 502 && config.on_502) || (status == 503 && config.on_503) || (status == 504 && config.on_504);
}

bool DecideRetry(const RetryConfig& config, const RetryQuestion& question) {
  if (question.response_begun || !question.replayable) return false;
  // A request that may have reached a backend is sent again only if doing it twice is doing it once.
  const bool unseen = question.failure == TryFailure::kConnect || question.failure == TryFailure::kRefused;
  if (!unseen && !question.idempotent) return false;
  if (question.failure == TryFailure::kReusedDied || question.failure == TryFailure::kRefused) {
    // Nobody's fault and not counted: the connection had ended before the request came, or is about to.
    return question.reused_died <= kMaxReusedDied;
  }
  if (!Configured(config, question) || question.attempts >= config.max_attempts) return false;
  const uint32_t budget =
      std::max(kMinBudget, static_cast<uint32_t>(uint64_t{question.active} * config.budget_percent / 100));
  return question.retrying < budget;
}

}  // namespace ub
