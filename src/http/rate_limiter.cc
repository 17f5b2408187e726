#include "http/rate_limiter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace ub {
namespace {

constexpr size_t kIpv6NetworkBytes = 8;  // a /64

uint64_t Seconds(uint64_t us) { return (us + 999'999) / 1'000'000; }

}  // namespace

RateLimiter::RateLimiter(const RateLimitConfig& config, const RateTable& table, uint64_t seed)
    : table_(table),
      bucket_(config.requests_per_second, config.burst),
      capacity_(std::max(config.burst, 1u)),
      key_(config.key),
      exempt_(config.exempt),
      random_(seed) {}

TokenBucket::Verdict RateLimiter::Take(const StageRequest& request) {
  std::string_view key = key_.Of(request.head, request.client);
  const std::string_view address = request.client.bytes();
  // An address is marked with a zero byte, which no header value holds: a header cannot speak for
  // somebody's address.
  std::array<char, 1 + 16> marked{};
  if (key.data() == address.data()) {
    const size_t bytes = request.client.is_ipv6() ? kIpv6NetworkBytes : address.size();
    std::memcpy(marked.data() + 1, address.data(), bytes);
    key = {marked.data(), 1 + bytes};
  }
  return table_.Take(key, bucket_, TokenBucket::Time(request.now_ns),
                     static_cast<uint32_t>(random_.Next()));
}

bool RateLimiter::Admit(const StageRequest& request, StageResult* result) {
  if (exempt_.Contains(request.client.bytes())) {
    result->rate_limit = RateVerdict::kExempt;
    return true;
  }
  const TokenBucket::Verdict verdict = Take(request);
  result->rate_limit = verdict.admitted ? RateVerdict::kPassed : RateVerdict::kLimited;
  if (verdict.admitted) return true;
  result->status = 429;
  result->retry_after_seconds = static_cast<uint32_t>(Seconds(verdict.wait_us));
  result->fields =
      fmt::format("RateLimit-Limit: {}\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: {}\r\n",
                  capacity_, Seconds(verdict.full_us));
  return false;
}

}  // namespace ub
