// The stage that keeps each client to its rate: a token bucket a client, over all workers
// (core/rate_table.h).
//
// A client is what rate_limit.key says: an address (IPv6: its /64, which is one customer's), or the
// value of a header or cookie, and the address again where a request has none. Networks in
// rate_limit.exempt are not counted. The settings may change at a reload: buckets keep what was
// taken from them.
//
// Worker process, once a request; no allocation for a request that passes.
#ifndef UB_HTTP_RATE_LIMITER_H_
#define UB_HTTP_RATE_LIMITER_H_

#include <cstdint>

#include "core/network_set.h"
#include "core/random.h"
#include "core/rate_table.h"
#include "core/token_bucket.h"
#include "http/request_key.h"
#include "http/request_stage.h"

namespace ub {

class RateLimiter final : public RequestStage {
 public:
  RateLimiter(const RateLimitConfig& config, const RateTable& table, uint64_t seed);

  // Refuses with 429, Retry-After (until the next token), and RateLimit-Limit (what a full bucket
  // holds), -Remaining and -Reset (until it is full), in whole seconds, rounded up.
  bool Admit(const StageRequest& request, StageResult* result) override;

 private:
  TokenBucket::Verdict Take(const StageRequest& request);

  const RateTable table_;
  const TokenBucket bucket_;
  const uint32_t capacity_;
  const RequestKey key_;
  const NetworkSet exempt_;
  Random random_;
};

}  // namespace ub

#endif  // UB_HTTP_RATE_LIMITER_H_
