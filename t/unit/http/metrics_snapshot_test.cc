#include "http/metrics_snapshot.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "http/metrics_json.h"
#include "http/metrics_prometheus.h"
#include "http/request_record.h"
#include "unit/upstream/upstream_fixture.h"

namespace ub {
namespace {

// Two workers and two backends; Count records whole requests as a worker does.
class MetricsSnapshotTest : public testing::Test {
 protected:
  MetricsSnapshotTest() : pool_(4, 4) {
    pool_.Apply(MakeSpecs(2));
    for (uint32_t w = 0; w < 2; ++w) {
      pool_.AddWorker();
      shm().row(w).accepted = 1;
    }
  }
  ShmSegment& shm() { return pool_.shm(); }
  void Count(uint32_t row, uint32_t slot, int times, uint16_t status = 200, uint64_t ns = 2 * kMilli) {
    for (int i = 0; i < times; ++i) {
      Add(shm().counters(row, slot).requests);
      RecordTry(shm(), row, {slot, i == 0, false, ns, 100, 1000});
      RecordRequest(shm(), row, {status, status != 0, status == 0, ns});
    }
  }
  Pool pool_;
};

TEST_F(MetricsSnapshotTest, SumsRowsAndClasses) {
  Count(0, 0, 10);
  Count(1, 1, 5, 503, 8 * kMilli);
  Count(1, 0, 3, 404);
  Count(0, 1, 2, 0);
  const MetricsSnapshot snapshot = TakeSnapshot(shm(), {});
  EXPECT_EQ(snapshot.requests, 20u);
  EXPECT_EQ(snapshot.successful(), 13u);
  EXPECT_EQ(snapshot.failed(), 7u);
  EXPECT_EQ(snapshot.responses[0], 2u);
  EXPECT_EQ(snapshot.client_aborts, 2u);
  EXPECT_EQ(snapshot.times.count(), 18u) << "an answer that never came has no time";
  ASSERT_EQ(snapshot.backends.size(), 2u);
  EXPECT_EQ(snapshot.backends[0].requests, 13u);
  EXPECT_EQ(snapshot.backends[0].connects, 2u);
  EXPECT_EQ(snapshot.backends[0].bytes_received, 13'000u);
  EXPECT_EQ(snapshot.backends[1].times.count(), 7u);
  EXPECT_EQ(snapshot.workers.size(), 2u);
}

TEST_F(MetricsSnapshotTest, ARowsNextProcessCountsOn) {
  Count(0, 0, 10);
  shm().ReleaseRow(0);
  EXPECT_EQ(TakeSnapshot(shm(), {}).requests, 10u);
  ASSERT_EQ(shm().TakeRow(ChildKind::kWorker, 0), 0u);
  Count(0, 0, 1);
  const MetricsSnapshot snapshot = TakeSnapshot(shm(), {});
  EXPECT_EQ(snapshot.requests, 11u);
  EXPECT_EQ(snapshot.backends[0].requests, 11u);
}

TEST_F(MetricsSnapshotTest, ASlotsNextTenantBeginsAtNothing) {
  Count(0, 0, 10);
  Count(1, 0, 10);
  pool_.Apply({MakeSpec(1)});  // backend 0 leaves
  pool_.Refresh();
  // Fills what is left and then the old slot.
  pool_.Apply({MakeSpec(1), MakeSpec(2), MakeSpec(3), MakeSpec(4)});
  bool reused = false;
  for (const BackendMetrics& backend : SnapshotBackends(shm(), true)) {
    reused |= backend.slot == 0;
    EXPECT_EQ(backend.requests, 0u) << backend.address;
    EXPECT_EQ(backend.times.count(), 0u) << backend.address;
  }
  ASSERT_TRUE(reused);
  Count(1, 0, 3, 200, 50 * kMilli);
  for (const BackendMetrics& backend : SnapshotBackends(shm(), true)) {
    if (backend.slot != 0) continue;
    EXPECT_EQ(backend.requests, 3u);
    EXPECT_EQ(backend.times.count(), 3u);
    EXPECT_NEAR(static_cast<double>(backend.times.PercentileNs(0.5)), 50e6, 2e6);
  }
  EXPECT_EQ(TakeSnapshot(shm(), {}).requests, 23u) << "totals keep what earlier tenants counted";
}

TEST_F(MetricsSnapshotTest, StatesAreTold) {
  pool_.SetHealth(0, HealthState::kDown);
  pool_.SetHealth(1, HealthState::kUp);
  pool_.SetAdmin(1, AdminState::kDrain);
  const auto backends = SnapshotBackends(shm(), false);
  EXPECT_EQ(backends[0].state(), "down");
  EXPECT_FALSE(backends[0].healthy());
  EXPECT_EQ(backends[1].state(), "drain");
  EXPECT_TRUE(backends[1].healthy());
  EXPECT_FALSE(backends[1].usable());
}

TEST_F(MetricsSnapshotTest, JsonHasTheFieldsThatScriptsRelyOn) {
  Count(0, 0, 1);
  const Json json = MetricsJson(TakeSnapshot(shm(), {}), "round-robin");
  for (const char* const key :
       {"total_requests", "successful_requests", "failed_requests", "requests_per_second", "avg_response_time_ms",
        "min_response_time_ms", "max_response_time_ms", "p50_response_time_ms", "p95_response_time_ms",
        "p99_response_time_ms", "p999_response_time_ms", "connections_active", "connections_total", "bytes_sent",
        "bytes_received", "uptime_seconds", "version", "algorithm", "workers", "backends"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  for (const char* const key :
       {"address", "name", "weight", "healthy", "state", "active_connections", "total_requests", "failures", "retries",
        "avg_response_time_ms", "p50_response_time_ms", "p95_response_time_ms", "p99_response_time_ms",
        "circuit_state"}) {
    EXPECT_TRUE(json["backends"][0].contains(key)) << key;
  }
}

TEST_F(MetricsSnapshotTest, PrometheusBucketsGrowAndEndInTheCount) {
  Count(0, 0, 10, 200, 3 * kMilli);
  Count(0, 1, 5, 200, 300 * kMilli);
  const std::string text = MetricsPrometheus(TakeSnapshot(shm(), {}), "round-robin");
  EXPECT_NE(text.find("ultrabalancer_requests_total{code=\"2xx\"} 15\n"), std::string::npos) << text;
  EXPECT_NE(text.find("ultrabalancer_response_time_seconds_bucket{le=\"0.005\"} 10\n"), std::string::npos);
  EXPECT_NE(text.find("ultrabalancer_response_time_seconds_bucket{le=\"+Inf\"} 15\n"), std::string::npos);
  EXPECT_NE(text.find("ultrabalancer_response_time_seconds_count 15\n"), std::string::npos);
  EXPECT_NE(text.find("ultrabalancer_backend_healthy{backend=\"10.0.0.0:80\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("ultrabalancer_circuit_breaker_state{backend=\"10.0.0.0:80\"} 0\n"), std::string::npos);
  std::istringstream lines(text);
  uint64_t before = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("ultrabalancer_response_time_seconds_bucket")) continue;
    const uint64_t count = std::stoull(line.substr(line.rfind(' ') + 1));
    EXPECT_GE(count, before) << line;
    before = count;
  }
}

}  // namespace
}  // namespace ub
