#include "http/metrics_prometheus.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "http/metrics_json.h"
#include "upstream/health_state.h"

namespace ub {
namespace {

// Upper bounds of the histograms' buckets in seconds. A time counts by the middle of the log-linear
// bucket that it was recorded in, so a bound is exact to 3 %.
constexpr double kBounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                              0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// A label's value: backslash, quote and newline are escaped.
std::string Label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

class Writer {
 public:
  // What follows up to the next call is of this metric; names get the common prefix.
  void Metric(std::string_view name, std::string_view type, std::string_view help) {
    name_ = fmt::format("ultrabalancer_{}", name);
    Put("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, type);
  }
  template <class Number>
  void Value(std::string_view labels, Number value) {
    if (labels.empty()) {
      Put("{} {}\n", name_, value);
    } else {
      Put("{}{{{}}} {}\n", name_, labels, value);
    }
  }
  template <class Number>
  void One(std::string_view name, std::string_view type, std::string_view help, Number value) {
    Metric(name, type, help);
    Value("", value);
  }
  void Times(std::string_view labels, const Histogram& times) {
    const std::string_view comma = labels.empty() ? "" : ",";
    for (const double bound : kBounds) {
      Put("{}_bucket{{{}{}le=\"{}\"}} {}\n", name_, labels, comma, bound,
          times.CountWithin(static_cast<uint64_t>(std::llround(bound * 1e9))));
    }
    Put("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name_, labels, comma, times.count());
    const std::string braces = labels.empty() ? "" : fmt::format("{{{}}}", labels);
    Put("{}_sum{} {}\n{}_count{} {}\n", name_, braces, Seconds(times.sum_ns()), name_, braces, times.count());
  }
  std::string Take() { return std::move(text_); }

 private:
  template <class... Args>
  void Put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  std::string name_, text_;
};

void PutTotals(const MetricsSnapshot& s, std::string_view algorithm, Writer* out) {
  out->Metric("build_info", "gauge", "Constant 1; what runs.");
  out->Value(fmt::format("version=\"{}\",algorithm=\"{}\"", Label(Version()), Label(algorithm)), 1);
  out->One("uptime_seconds", "gauge", "Seconds since the balancer started; an upgrade of the binary goes on counting.", s.uptime_seconds);
  out->One("config_generation", "gauge", "Number of the configuration in force; grows with each reload.",
           s.config_generation);
  out->Metric("requests_total", "counter",
              "Requests by the class of their answer; none: no complete answer was given.");
  for (size_t i = 1; i <= 5; ++i) out->Value(fmt::format("code=\"{}xx\"", i), s.responses[i]);
  out->Value("code=\"none\"", s.responses[0]);
  out->One("successful_requests_total", "counter", "Requests with a complete answer below 500.", s.successful());
  out->One("failed_requests_total", "counter", "Requests answered 5xx or without a complete answer.", s.failed());
  out->One("client_aborts_total", "counter", "Requests whose client left before the answer was complete.",
           s.client_aborts);
  out->One("rate_limited_total", "counter", "Requests answered 429; among code 4xx.", s.rate_limited);
  out->One("retries_total", "counter", "Tries after the first one of a request.", s.retries);
  out->Metric("response_time_seconds", "histogram", "From a request's head to the end of its answer.");
  out->Times("", s.times);
  out->One("requests_in_flight", "gauge", "Requests that wait for a backend's answer or get it.", s.in_flight);
  out->One("connections_active", "gauge", "Client connections open now.", s.connections);
  out->One("connections_total", "counter", "Client connections accepted.", s.connections_accepted);
  out->One("received_bytes_total", "counter", "Bytes from clients.", s.bytes_received);
  out->One("sent_bytes_total", "counter", "Bytes to clients.", s.bytes_sent);
  out->One("upstream_connects_total", "counter", "Connections made to backends.", s.upstream_connects);
  out->One("upstream_reuses_total", "counter", "Requests sent on a kept-alive connection.", s.upstream_reuses);
  out->One("tls_handshakes_total", "counter", "TLS handshakes with clients that succeeded.", s.tls_handshakes);
  out->One("tls_resumed_total", "counter", "Of those, handshakes that took up an earlier session.", s.tls_resumed);
  out->One("tls_failures_total", "counter", "TLS handshakes with clients that failed.", s.tls_failures);
  if (!s.certificates.empty()) {
    out->Metric("tls_certificate_expiry_days", "gauge", "Whole days until a certificate expires; below zero: it has.");
    for (const CertificateEnd& each : s.certificates) {
      out->Value(fmt::format("file=\"{}\",name=\"{}\"", Label(each.file), Label(each.name)), DaysUntil(each.unix_seconds));
    }
  }
  out->One("shared_memory_bytes", "gauge", "Size of the shared segment; most of it is never touched.",
           s.shared_memory_bytes);
}

void PutHttp2(const MetricsSnapshot& s, Writer* out) {
  out->One("http2_connections_total", "counter", "Client connections that spoke HTTP/2.", s.http2_connections);
  out->One("http2_streams_total", "counter", "Requests begun on them.", s.http2_streams);
  out->Metric("http2_floods_total", "counter", "Of those connections, closed because of too many frames of a kind.");
  for (size_t i = 0; i < kHttp2CheapNames.size(); ++i) {
    out->Value(fmt::format("kind=\"{}\"", kHttp2CheapNames[i]), s.http2_floods[i]);
  }
}

void PutWorkers(const MetricsSnapshot& s, Writer* out) {
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    out->Metric(name, type, help);
    for (const WorkerMetrics& worker : s.workers) {
      out->Value(fmt::format("worker=\"{}\",pid=\"{}\"", worker.id, worker.pid), value(worker));
    }
  };
  out->One("workers", "gauge", "Worker processes that live.", s.workers.size());
  each("worker_requests_total", "counter", "Requests by worker.", [](const auto& w) { return w.requests; });
  each("worker_connections_active", "gauge", "Client connections by worker.",
       [](const auto& w) { return w.connections; });
  each("worker_resident_memory_bytes", "gauge", "Resident memory of a worker, shared pages included.",
       [](const auto& w) { return w.memory_bytes; });
}

void PutBackends(const MetricsSnapshot& s, Writer* out) {
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    out->Metric(name, type, help);
    for (const BackendMetrics& b : s.backends) {
      out->Value(fmt::format("backend=\"{}\"", Label(b.address)), value(b));
    }
  };
  out->Metric("backend_info", "gauge", "Constant 1; a backend's name.");
  for (const BackendMetrics& b : s.backends) {
    out->Value(fmt::format("backend=\"{}\",name=\"{}\"", Label(b.address), Label(b.name)), 1);
  }
  each("backend_healthy", "gauge", "1 while its checks count it as healthy.",
       [](const auto& b) { return b.healthy() ? 1 : 0; });
  out->Metric("backend_state", "gauge", "1 for the state that a backend is in.");
  for (const BackendMetrics& b : s.backends) {
    out->Value(fmt::format("backend=\"{}\",state=\"{}\"", Label(b.address), b.state()), 1);
  }
  each("circuit_breaker_state", "gauge", "0 closed, 1 half-open, 2 open.", [](const auto& b) {
    return b.circuit == CircuitState::kClosed ? 0 : b.circuit == CircuitState::kHalfOpen ? 1 : 2;
  });
  each("backend_weight", "gauge", "Weight.", [](const auto& b) { return b.weight; });
  each("backend_active_connections", "gauge", "Requests in flight.", [](const auto& b) { return b.in_flight; });
  each("backend_idle_connections", "gauge", "Pooled connections that wait.",
       [](const auto& b) { return b.idle_connections; });
  each("backend_requests_total", "counter", "Tries sent to a backend.", [](const auto& b) { return b.requests; });
  each("backend_failures_total", "counter", "Tries that failed by a backend's fault.",
       [](const auto& b) { return b.failures; });
  each("backend_retries_total", "counter", "Tries that were not their request's first.",
       [](const auto& b) { return b.retries; });
  each("backend_connects_total", "counter", "Connections made to a backend.",
       [](const auto& b) { return b.connects; });
  each("backend_sent_bytes_total", "counter", "Bytes to a backend.", [](const auto& b) { return b.bytes_sent; });
  each("backend_received_bytes_total", "counter", "Bytes from a backend.",
       [](const auto& b) { return b.bytes_received; });
  out->Metric("backend_response_time_seconds", "histogram", "From the send to the head of a backend's response.");
  for (const BackendMetrics& b : s.backends) {
    out->Times(fmt::format("backend=\"{}\"", Label(b.address)), b.times);
  }
}

}  // namespace

std::string MetricsPrometheus(const MetricsSnapshot& snapshot, std::string_view algorithm) {
  Writer out;
  PutTotals(snapshot, algorithm, &out);
  PutHttp2(snapshot, &out);
  PutWorkers(snapshot, &out);
  PutBackends(snapshot, &out);
  return out.Take();
}

}  // namespace ub
