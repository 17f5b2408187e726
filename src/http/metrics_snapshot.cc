#include "http/metrics_snapshot.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "core/clock.h"
#include "upstream/health_state.h"

namespace ub {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

uint64_t Minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

uint64_t ResidentBytes(uint32_t pid) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(fmt::format("/proc/{}/statm", pid).c_str(), "re"),
                                                   &fclose);
  unsigned long size = 0, resident = 0;
  if (file == nullptr || fscanf(file.get(), "%lu %lu", &size, &resident) != 2) return 0;
  return uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void AddCounters(const ShmSegment& shm, uint32_t b, bool times, BackendMetrics* out) {
  const uint32_t rows = shm.header().row_high_water.load();
  for (uint32_t r = 0; r < rows; ++r) {
    if (!shm.Used(r)) continue;
    const BackendCounters& from = shm.counters(r, b);
    const uint64_t requests = from.requests.load(kRelaxed);
    if (requests == 0) continue;
    out->requests += requests;
    out->failures += from.failures.load(kRelaxed);
    out->retries += from.retries.load(kRelaxed);
    out->connects += from.connects.load(kRelaxed);
    out->bytes_sent += from.bytes_sent.load(kRelaxed);
    out->bytes_received += from.bytes_received.load(kRelaxed);
    if (times) out->times.Add(shm.latency(r, b));
  }
  if (out->requests == 0) return;
  const BackendCounters& base = shm.base_counters(b);
  if (base.requests.load(kRelaxed) == 0) return;  // the slot's first tenant
  out->requests = Minus(out->requests, base.requests.load(kRelaxed));
  out->failures = Minus(out->failures, base.failures.load(kRelaxed));
  out->retries = Minus(out->retries, base.retries.load(kRelaxed));
  out->connects = Minus(out->connects, base.connects.load(kRelaxed));
  out->bytes_sent = Minus(out->bytes_sent, base.bytes_sent.load(kRelaxed));
  out->bytes_received = Minus(out->bytes_received, base.bytes_received.load(kRelaxed));
  if (times) out->times.Subtract(shm.base_latency(b));
}

WorkerMetrics WorkerOf(const ShmSegment& shm, uint32_t r) {
  const ProcessRow& row = shm.row(r);
  WorkerMetrics worker;
  worker.id = row.worker_id.load(kRelaxed);
  worker.pid = row.pid.load(kRelaxed);
  worker.draining = row.state.load(kRelaxed) == static_cast<uint32_t>(RowState::kDraining);
  worker.connections = row.connections.load(kRelaxed);
  const uint32_t slots = shm.header().backend_high_water.load();
  for (uint32_t b = 0; b < slots; ++b) worker.in_flight += shm.in_flight(r, b).load(kRelaxed);
  worker.accepted = row.accepted.load(kRelaxed);
  worker.requests = row.requests.load(kRelaxed);
  worker.failed = row.responses[0].load(kRelaxed) + row.responses[5].load(kRelaxed);
  worker.retries = row.retries.load(kRelaxed);
  worker.bytes_received = row.bytes_received.load(kRelaxed);
  worker.bytes_sent = row.bytes_sent.load(kRelaxed);
  worker.memory_bytes = ResidentBytes(worker.pid);
  return worker;
}

void AddRow(const ShmSegment& shm, uint32_t r, MetricsSnapshot* out) {
  const ProcessRow& row = shm.row(r);
  // Classes first: a request counts in `requests` before it counts in its class.
  uint64_t classes = 0;
  for (size_t i = 0; i < out->responses.size(); ++i) {
    const uint64_t n = row.responses[i].load(kRelaxed);
    out->responses[i] += n;
    classes += n;
  }
  out->requests += classes;
  out->client_aborts += row.client_aborts.load(kRelaxed);
  out->retries += row.retries.load(kRelaxed);
  out->rate_limited += row.rate_limited.load(kRelaxed);
  out->bytes_received += row.bytes_received.load(kRelaxed);
  out->bytes_sent += row.bytes_sent.load(kRelaxed);
  out->connections_accepted += row.accepted.load(kRelaxed);
  out->upstream_connects += row.upstream_connects.load(kRelaxed);
  out->upstream_reuses += row.upstream_reuses.load(kRelaxed);
  out->tls_handshakes += row.tls_handshakes.load(kRelaxed);
  out->tls_resumed += row.tls_resumed.load(kRelaxed);
  out->tls_failures += row.tls_failures.load(kRelaxed);
  out->http2_connections += row.http2_connections.load(kRelaxed);
  out->http2_streams += row.http2_streams.load(kRelaxed);
  for (size_t i = 0; i < out->http2_floods.size(); ++i) out->http2_floods[i] += row.http2_floods[i].load(kRelaxed);
  out->times.Add(shm.latency(r));
}

}  // namespace

bool BackendMetrics::healthy() const { return HealthUsable(health); }

std::string_view BackendMetrics::state() const {
  return admin == AdminState::kReady ? HealthStateName(health) : AdminStateName(admin);
}

std::string_view AdminStateName(AdminState state) {
  switch (state) {
    case AdminState::kReady:
      return "ready";
    case AdminState::kDrain:
      return "drain";
    case AdminState::kMaint:
      return "maint";
  }
  return "ready";
}

std::vector<BackendMetrics> SnapshotBackends(const ShmSegment& shm, bool times) {
  std::vector<std::pair<uint32_t, BackendMetrics>> found;
  const uint32_t slots = shm.header().backend_high_water.load();
  const uint64_t now_ms = MonotonicMs();
  for (uint32_t b = 0; b < slots; ++b) {
    const BackendSlot& slot = shm.slot(b);
    if (slot.state.load(std::memory_order_acquire) != static_cast<uint32_t>(SlotState::kActive)) continue;
    BackendMetrics backend;
    backend.slot = b;
    backend.address = slot.address_text;
    backend.name = slot.name;
    backend.weight = slot.weight.load(kRelaxed);
    backend.max_connections = slot.max_connections.load(kRelaxed);
    backend.backup = slot.backup.load(kRelaxed) != 0;
    backend.h2 = slot.protocol.load(kRelaxed) == static_cast<uint32_t>(BackendProtocol::kHttp2);
    backend.health = static_cast<HealthState>(slot.health.load(kRelaxed));
    backend.admin = static_cast<AdminState>(slot.admin.load(kRelaxed));
    const BreakerWord breaker = BreakerWord::Unpack(slot.breaker.load(kRelaxed));
    // Open and due: the next pick makes it half-open.
    const bool due = breaker.state == CircuitState::kOpen && now_ms >= breaker.deadline_ms;
    backend.circuit = due ? CircuitState::kHalfOpen : breaker.state;
    backend.in_flight = shm.InFlight(b);
    backend.idle_connections =
        shm.SumLive([&shm, b](uint32_t r) -> const std::atomic<uint32_t>& { return shm.idle(r, b); });
    AddCounters(shm, b, times, &backend);
    found.emplace_back(slot.order.load(kRelaxed), std::move(backend));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<BackendMetrics> out;
  out.reserve(found.size());
  for (auto& entry : found) out.push_back(std::move(entry.second));
  return out;
}

uint64_t TotalRequests(const ShmSegment& shm) {
  uint64_t sum = 0;
  const uint32_t rows = shm.header().row_high_water.load();
  for (uint32_t r = 0; r < rows; ++r) sum += shm.row(r).requests.load(kRelaxed);
  return sum;
}

MetricsSnapshot TakeSnapshot(const ShmSegment& shm, const RequestRates& rates) {
  MetricsSnapshot out;
  out.rates = rates;
  out.uptime_seconds = static_cast<double>(MonotonicNs() - shm.header().created_ns) / 1e9;
  out.config_generation = shm.header().config_generation.load(kRelaxed);
  out.shared_memory_bytes = shm.bytes();
  out.connections = shm.Connections();
  const uint32_t rows = shm.header().row_high_water.load();
  for (uint32_t r = 0; r < rows; ++r) {
    if (shm.Used(r)) AddRow(shm, r, &out);
    if (!shm.row_live(r)) continue;
    const auto kind = static_cast<ChildKind>(shm.row(r).kind.load(kRelaxed));
    if (kind == ChildKind::kWorker) {
      out.workers.push_back(WorkerOf(shm, r));
    } else if (kind == ChildKind::kController) {
      out.controller_pid = shm.row(r).pid.load(kRelaxed);
      out.controller_memory_bytes = ResidentBytes(out.controller_pid);
    }
  }
  std::sort(out.workers.begin(), out.workers.end(), [](const WorkerMetrics& a, const WorkerMetrics& b) {
    return std::pair(a.id, a.pid) < std::pair(b.id, b.pid);
  });
  out.backends = SnapshotBackends(shm, true);
  for (const BackendMetrics& backend : out.backends) out.in_flight += backend.in_flight;
  return out;
}

}  // namespace ub
