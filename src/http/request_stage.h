// What a request passes before a backend is picked for it: stages in one fixed order, each of which
// may answer instead.
//
// The session runs them once a request, after the head was parsed and before anything is reserved.
// Only stages that the configuration turns on are there: with none, they cost one look at an empty
// list. Worker process.
#ifndef UB_HTTP_REQUEST_STAGE_H_
#define UB_HTTP_REQUEST_STAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/shm_segment.h"
#include "event/address.h"
#include "http/message.h"

namespace ub {

struct StageRequest {
  const RequestHead& head;
  const PeerAddress& client;  // who counts as the client, behind trusted proxies
  uint64_t now_ns;            // monotonic, the loop's clock
  bool secure = false;        // it came by TLS, to us or to a trusted proxy
};

// What the rate limiter said of a request, for its log line.
enum class RateVerdict : uint8_t { kNone, kExempt, kPassed, kLimited };

struct StageResult {
  uint16_t status = 0;  // of the answer; meaningful where a stage refused
  uint32_t retry_after_seconds = 0;
  std::string fields;  // further header lines of the answer, each with its CRLF
  RateVerdict rate_limit = RateVerdict::kNone;
};

class RequestStage {
 public:
  virtual ~RequestStage() = default;
  // False: the request is answered with `result`.
  virtual bool Admit(const StageRequest& request, StageResult* result) = 0;
};

class RequestStages {
 public:
  // Builds the stages of a configuration, in order; those before are gone. `seed`: of choices that
  // need no secrecy.
  void Configure(const Config& config, const ShmSegment& shm, uint64_t seed);
  bool empty() const { return stages_.empty(); }
  // Up to the first that refuses.
  bool Admit(const StageRequest& request, StageResult* result) const;

 private:
  std::vector<std::unique_ptr<RequestStage>> stages_;
};

}  // namespace ub

#endif  // UB_HTTP_REQUEST_STAGE_H_
