#include "http/metrics_json.h"

#include <chrono>
#include <cmath>

#include "upstream/health_state.h"

#if __has_include("build_config.h")
#include "build_config.h"
#endif
#ifndef UB_VERSION
#define UB_VERSION "unknown"
#endif

namespace ub {
namespace {

// Nanoseconds as milliseconds, to the microsecond.
double Ms(uint64_t ns) { return std::round(static_cast<double>(ns) / 1e3) / 1e3; }

double Rate(double per_second) { return std::round(per_second * 100) / 100; }

void PutTimes(const Histogram& times, Json* out) {
  (*out)["avg_response_time_ms"] = Ms(times.mean_ns());
  (*out)["min_response_time_ms"] = Ms(times.min_ns());
  (*out)["max_response_time_ms"] = Ms(times.max_ns());
  (*out)["p50_response_time_ms"] = Ms(times.PercentileNs(0.5));
  (*out)["p90_response_time_ms"] = Ms(times.PercentileNs(0.9));
  (*out)["p95_response_time_ms"] = Ms(times.PercentileNs(0.95));
  (*out)["p99_response_time_ms"] = Ms(times.PercentileNs(0.99));
  (*out)["p999_response_time_ms"] = Ms(times.PercentileNs(0.999));
}

// The buckets that are not empty: [their middle in ms, count]. From two of them a reader takes the percentiles of the
// time between.
Json HistogramJson(const Histogram& times) {
  Json out = Json::array();
  for (uint32_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
    if (times.bucket(bucket) == 0) continue;
    // Whole nanoseconds: the buckets of the fastest answers are less than a microsecond apart.
    const uint64_t middle_ns = (HistogramLowerNs(bucket) + HistogramUpperNs(bucket)) / 2;
    out.push_back({static_cast<double>(middle_ns) / 1e6, times.bucket(bucket)});
  }
  return out;
}

Json WorkerJson(const WorkerMetrics& worker) {
  return {{"id", worker.id},
          {"pid", worker.pid},
          {"state", worker.draining ? "draining" : "serving"},
          {"connections_active", worker.connections},
          {"requests_in_flight", worker.in_flight},
          {"connections_total", worker.accepted},
          {"total_requests", worker.requests},
          {"failed_requests", worker.failed},
          {"retries", worker.retries},
          {"bytes_received", worker.bytes_received},
          {"bytes_sent", worker.bytes_sent},
          {"memory_bytes", worker.memory_bytes}};
}

// Days are whole ones, and below zero once the certificate has expired.
Json CertificatesJson(const std::vector<CertificateEnd>& certificates) {
  Json list = Json::array();
  for (const CertificateEnd& each : certificates) {
    list.push_back({{"file", each.file}, {"name", each.name}, {"expires_unix_seconds", each.unix_seconds},
                    {"days_to_expiry", DaysUntil(each.unix_seconds)}});
  }
  return list;
}

}  // namespace

int64_t DaysUntil(int64_t unix_seconds) {
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::seconds(unix_seconds) - std::chrono::system_clock::now().time_since_epoch());
  return days.count();
}

Json BackendJson(const BackendMetrics& backend) {
  Json out = {{"address", backend.address},
              {"name", backend.name},
              {"weight", backend.weight},
              {"healthy", backend.healthy()},
              {"state", backend.state()},
              {"health", HealthStateName(backend.health)},
              {"admin_state", AdminStateName(backend.admin)},
              {"circuit_state", CircuitStateName(backend.circuit)},
              {"active_connections", backend.in_flight},
              {"idle_connections", backend.idle_connections},
              {"max_connections", backend.max_connections},
              {"backup", backend.backup},
              {"protocol", backend.h2 ? "h2" : "http1"},
              {"total_requests", backend.requests},
              {"failures", backend.failures},
              {"retries", backend.retries},
              {"connects", backend.connects},
              {"bytes_sent", backend.bytes_sent},
              {"bytes_received", backend.bytes_received}};
  PutTimes(backend.times, &out);
  return out;
}

Json MetricsJson(const MetricsSnapshot& snapshot, std::string_view algorithm) {
  Json out = {{"version", Version()},
              {"algorithm", algorithm},
              {"uptime_seconds", std::round(snapshot.uptime_seconds * 1000) / 1000},
              {"total_requests", snapshot.requests},
              {"successful_requests", snapshot.successful()},
              {"failed_requests", snapshot.failed()},
              {"requests_per_second", Rate(snapshot.rates.one_second)},
              {"requests_per_second_10s", Rate(snapshot.rates.ten_seconds)},
              {"requests_per_second_1m", Rate(snapshot.rates.one_minute)}};
  PutTimes(snapshot.times, &out);
  out["response_time_histogram"] = HistogramJson(snapshot.times);
  out["connections_active"] = snapshot.connections;
  out["connections_total"] = snapshot.connections_accepted;
  out["requests_in_flight"] = snapshot.in_flight;
  out["bytes_sent"] = snapshot.bytes_sent;
  out["bytes_received"] = snapshot.bytes_received;
  out["retries"] = snapshot.retries;
  out["rate_limited"] = snapshot.rate_limited;
  out["client_aborts"] = snapshot.client_aborts;
  out["upstream_connects"] = snapshot.upstream_connects;
  out["upstream_reuses"] = snapshot.upstream_reuses;
  out["tls"] = {{"handshakes", snapshot.tls_handshakes}, {"resumed", snapshot.tls_resumed},
                {"failed_handshakes", snapshot.tls_failures}, {"certificates", CertificatesJson(snapshot.certificates)}};
  Json floods = Json::object();
  for (size_t i = 0; i < kHttp2CheapNames.size(); ++i) floods[std::string(kHttp2CheapNames[i])] = snapshot.http2_floods[i];
  out["http2"] = {{"connections", snapshot.http2_connections}, {"streams", snapshot.http2_streams}, {"floods", floods}};
  out["responses"] = {{"1xx", snapshot.responses[1]}, {"2xx", snapshot.responses[2]},
                      {"3xx", snapshot.responses[3]}, {"4xx", snapshot.responses[4]},
                      {"5xx", snapshot.responses[5]}, {"none", snapshot.responses[0]}};
  out["config_generation"] = snapshot.config_generation;
  out["controller"] = {{"pid", snapshot.controller_pid}, {"memory_bytes", snapshot.controller_memory_bytes}};
  out["workers"] = Json::array();
  for (const WorkerMetrics& worker : snapshot.workers) out["workers"].push_back(WorkerJson(worker));
  out["backends"] = Json::array();
  for (const BackendMetrics& backend : snapshot.backends) out["backends"].push_back(BackendJson(backend));
  return out;
}

std::string JsonText(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string_view Version() { return UB_VERSION; }

}  // namespace ub
