#include "upstream/certificate_watch.h"

#include <ctime>

#include "core/log.h"
#include "event/event_loop.h"

namespace ub {

CertificateWatch::CertificateWatch(EventLoop* loop, uint64_t period_ns)
    : loop_(loop), period_ns_(period_ns), period_(loop, &CertificateWatch::OnPeriod, this) {}

void CertificateWatch::Configure(const TlsConfig& config) {
  ends_ = CertificateEnds(config);
  period_.Cancel();
  if (!ends_.empty()) period_.Set(loop_->now_ns() + period_ns_);
}

void CertificateWatch::OnPeriod(void* self) {
  auto* watch = static_cast<CertificateWatch*>(self);
  watch->Look();
  watch->period_.Set(watch->loop_->now_ns() + watch->period_ns_);
}

void CertificateWatch::Look() const {
  constexpr int64_t kDay = 24 * 3600;
  const int64_t now = time(nullptr);
  for (const CertificateEnd& each : ends_) {
    const int64_t left = each.unix_seconds - now;
    if (left <= 0) {
      Log(LogLevel::kError, "tls.certificates: {} has expired, clients refuse it (renew it and reload)", each.file);
    } else if (left < kCertificateWarnDays * kDay) {
      Log(LogLevel::kWarn, "tls.certificates: {} expires in {} days (renew it and reload)", each.file, left / kDay);
    }
  }
}

}  // namespace ub
