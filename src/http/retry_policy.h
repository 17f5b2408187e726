// Whether a failed try may be tried again. Pure: all that it knows is in its argument. (RFC 9110 section 9.2.2;
// the budget after Google's SRE book: retries stay a small share of the load, so that they cannot multiply an outage.)
#ifndef UB_HTTP_RETRY_POLICY_H_
#define UB_HTTP_RETRY_POLICY_H_

#include <cstdint>

#include "core/config.h"

namespace ub {

enum class TryFailure : uint8_t {
  kConnect,      // no connection came about: nothing was sent
  kReusedDied,   // a kept-alive connection ended before any response byte
  kReset,        // a fresh connection ended before the response head was whole
  kTimeout,      // no response head in time
  kStatus,       // a response with a status that may be configured as a reason
  kBadResponse,  // the backend spoke badly
  kRefused,      // the backend has said that it did not look at the request (RFC 9113 section 8.7)
  kUnaskable,    // it cannot be asked this, and was not: the client's doing, as often as it likes
};

struct RetryQuestion {
  TryFailure failure = TryFailure::kConnect;
  uint16_t status = 0;      // with kStatus
  uint32_t attempts = 1;    // made so far, those with kReusedDied and kRefused not counted
  uint32_t reused_died = 0;  // tries that ended as kReusedDied or kRefused
  bool idempotent = false;
  bool replayable = false;       // head and body so far can be sent again
  bool response_begun = false;   // the client has seen part of a response
  uint32_t active = 0;           // requests under way in this worker
  uint32_t retrying = 0;         // of them on their second or later try
};

// A response status that retry.on names: the backend failed, whether or not this request can be tried again.
bool StatusIsFailure(const RetryConfig& config, uint16_t status);

bool DecideRetry(const RetryConfig& config, const RetryQuestion& question);

}  // namespace ub

#endif  // UB_HTTP_RETRY_POLICY_H_
