// Says once a day which certificates will end soon, or have: the master tells it at a load, and nobody reloads for months.
//
// Owned by the controller. Not configured or without certificates it costs nothing.
#ifndef UB_UPSTREAM_CERTIFICATE_WATCH_H_
#define UB_UPSTREAM_CERTIFICATE_WATCH_H_

#include <cstdint>
#include <vector>

#include "event/timer.h"
#include "event/tls_context.h"

namespace ub {

class CertificateWatch {
 public:
  static constexpr uint64_t kPeriodNs = uint64_t{24} * 3600 * 1'000'000'000;

  // `period_ns`: tests are more impatient.
  explicit CertificateWatch(EventLoop* loop, uint64_t period_ns = kPeriodNs);
  // After a load, which has just warned itself: the first look is a period from now.
  void Configure(const TlsConfig& config);

 private:
  static void OnPeriod(void* self);
  void Look() const;

  EventLoop* const loop_;
  const uint64_t period_ns_;
  std::vector<CertificateEnd> ends_;
  Timer period_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_CERTIFICATE_WATCH_H_
