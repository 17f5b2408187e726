// A snapshot in Prometheus' text format 0.0.4 (GET /prometheus). Controller process.
#ifndef UB_HTTP_METRICS_PROMETHEUS_H_
#define UB_HTTP_METRICS_PROMETHEUS_H_

#include <string>
#include <string_view>

#include "http/metrics_snapshot.h"

namespace ub {

inline constexpr std::string_view kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string MetricsPrometheus(const MetricsSnapshot& snapshot, std::string_view algorithm);

}  // namespace ub

#endif  // UB_HTTP_METRICS_PROMETHEUS_H_
