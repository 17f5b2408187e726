// All that is known of the running balancer at one moment, read from shared memory and summed over
// its processes: what /metrics, /prometheus, /ready and the admin API's list are written from.
//
// Controller process. Takes some 10 µs a backend that was used. Words that change while they are
// read may be a request apart from each other; each for itself never goes down.
//
// A request is successful where its answer was complete and its status below 500, and failed
// otherwise: 5xx, whoever gave it, and answers that never came or were cut. Its time runs from its
// head to the end of the answer; a backend's time from the send to the head of its response.
#ifndef UB_HTTP_METRICS_SNAPSHOT_H_
#define UB_HTTP_METRICS_SNAPSHOT_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/histogram.h"
#include "core/shm_segment.h"
#include "event/tls_context.h"
#include "http/http2_watch.h"
#include "upstream/circuit_breaker.h"

namespace ub {

struct RequestRates {
  double one_second = 0, ten_seconds = 0, one_minute = 0;
};

struct WorkerMetrics {
  uint32_t id = 0, pid = 0;
  bool draining = false;
  uint32_t connections = 0, in_flight = 0;
  // Of all processes that had this row: they go on counting where the last one stopped.
  uint64_t accepted = 0, requests = 0, failed = 0, retries = 0;
  uint64_t bytes_received = 0, bytes_sent = 0;
  uint64_t memory_bytes = 0;  // resident
};

struct BackendMetrics {
  uint32_t slot = 0;
  std::string address, name;
  uint32_t weight = 0, max_connections = 0;
  bool backup = false, h2 = false;
  HealthState health = HealthState::kUnknown;
  AdminState admin = AdminState::kReady;
  CircuitState circuit = CircuitState::kClosed;
  uint32_t in_flight = 0, idle_connections = 0;
  uint64_t requests = 0, failures = 0, retries = 0, connects = 0;
  uint64_t bytes_sent = 0, bytes_received = 0;
  Histogram times;

  // By its checks.
  bool healthy() const;
  // May get requests now.
  bool usable() const { return healthy() && admin == AdminState::kReady && circuit != CircuitState::kOpen; }
  // "drain" or "maint" where it is not ready, else its health.
  std::string_view state() const;
};

struct MetricsSnapshot {
  uint64_t requests = 0, client_aborts = 0, retries = 0, rate_limited = 0;
  std::array<uint64_t, 6> responses{};  // by class; [0]: no complete answer
  uint64_t bytes_received = 0, bytes_sent = 0;
  uint64_t connections_accepted = 0, upstream_connects = 0, upstream_reuses = 0;
  uint64_t tls_handshakes = 0, tls_resumed = 0, tls_failures = 0;
  uint64_t http2_connections = 0, http2_streams = 0;
  std::array<uint64_t, kHttp2CheapNames.size()> http2_floods{};  // connections closed, by what there was too much of
  std::vector<CertificateEnd> certificates;  // of TLS listeners; filled in by whoever has the configuration
  uint32_t connections = 0, in_flight = 0;
  double uptime_seconds = 0;
  uint64_t config_generation = 0, shared_memory_bytes = 0;
  uint32_t controller_pid = 0;
  uint64_t controller_memory_bytes = 0;
  RequestRates rates;
  Histogram times;
  std::vector<WorkerMetrics> workers;
  std::vector<BackendMetrics> backends;  // in the configuration's order

  uint64_t failed() const { return responses[0] + responses[5]; }
  uint64_t successful() const { return requests - failed(); }
};

MetricsSnapshot TakeSnapshot(const ShmSegment& shm, const RequestRates& rates);
// Only the backends, with or without their histograms.
std::vector<BackendMetrics> SnapshotBackends(const ShmSegment& shm, bool times);
// Requests of all processes, ever.
uint64_t TotalRequests(const ShmSegment& shm);

std::string_view AdminStateName(AdminState state);

}  // namespace ub

#endif  // UB_HTTP_METRICS_SNAPSHOT_H_
