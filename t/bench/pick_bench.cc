// What a pick costs, for docs/tuning.md: each algorithm at 10 and at 10,000 backends,
// least-connections at 100 backends and 16 processes, and the two orders in which the in-flight
// gauges could lie in memory.
//
//   objs/benchmarks --benchmark_filter='Pick|Sum' --benchmark_min_time=1
//
// A "pick" is all that a request pays: the choice, the place reserved at the backend, and its
// report at the end.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/log.h"
#include "upstream/backend_table.h"
#include "upstream/balancer.h"
#include "upstream/upstream_group.h"

namespace ub {
namespace {

constexpr uint64_t kStart = 1'000'000'000'000;

BackendSpec Spec(uint32_t n, bool weighted, uint32_t max_connections) {
  BackendSpec spec;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(80);
  address.sin_addr.s_addr = htonl(0x0a000000u + n);
  std::memcpy(&spec.address, &address, sizeof(address));
  spec.bytes = sizeof(address);
  spec.text = fmt::format("backend-{}:80", n);
  spec.weight = weighted ? 50 + n % 100 : 100;
  spec.max_connections = max_connections;
  spec.order = n;
  return spec;
}

// A pool of healthy backends and `processes` workers, of which this is the first; the others hold
// requests.
class Bench {
 public:
  Bench(std::string_view algorithm, uint32_t backends, uint32_t processes, bool weighted = false,
        uint32_t max_connections = 0)
      : shm_(std::move(*ShmSegment::Create(
            {.processes = processes, .backends = std::max(backends, 1024u), .sockets = 1}))) {
    SetLogLevel(LogLevel::kOff);
    std::vector<BackendSpec> specs;
    for (uint32_t n = 0; n < backends; ++n) specs.push_back(Spec(n, weighted, max_connections));
    (void)BackendTable(shm_).Apply(0, specs);
    for (uint32_t b = 0; b < backends; ++b)
      shm_.slot(b).health = static_cast<uint32_t>(HealthState::kUp);
    for (uint32_t r = 0; r < processes; ++r) {
      shm_.TakeRow(ChildKind::kWorker, r);
      for (uint32_t b = 0; r > 0 && b < backends; ++b) shm_.in_flight(r, b) = (r * 7 + b * 13) % 4;
    }
    config_.algorithm = algorithm;
    group_ = std::make_unique<UpstreamGroup>(shm_, 0, 0, 0);
    group_->Configure(config_);
    group_->Refresh();
  }

  void Run(benchmark::State& state) {
    uint64_t now = kStart;
    Random keys(1);
    for (auto _ : state) {
      Lease lease;
      now += 1000;
      if (group_->Pick({.key = keys.Next(), .now_ns = now}, &lease) != PickVerdict::kPicked) {
        state.SkipWithError("nothing picked");
        break;
      }
      group_->Report(lease, Outcome::kSuccess, 1'000'000, now);
    }
  }
  ShmSegment& shm() { return shm_; }
  const BackendView& view() const { return group_->view(); }

 private:
  ShmSegment shm_;
  Config config_;
  std::unique_ptr<UpstreamGroup> group_;
};

void Pick(benchmark::State& state, std::string_view algorithm, uint32_t processes, bool weighted) {
  Bench(algorithm, static_cast<uint32_t>(state.range(0)), processes, weighted).Run(state);
}
BENCHMARK_CAPTURE(Pick, round_robin, "round-robin", 2, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, random, "random", 2, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, power_of_two, "power-of-two", 2, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, ip_hash, "ip-hash", 2, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, fastest_response, "fastest-response", 2, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, weighted, "weighted", 2, true)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, round_robin_unequal, "round-robin", 2, true)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(Pick, least_connections, "least-connections", 16, false)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000);
BENCHMARK_CAPTURE(Pick, power_of_two_16_processes, "power-of-two", 16, false)->Arg(10)->Arg(10'000);

// With a limit each backend: the reservation is a locked addition and two sums over the processes.
void PickLimited(benchmark::State& state) {
  Bench("round-robin", 100, static_cast<uint32_t>(state.range(0)), false, 1000).Run(state);
}
BENCHMARK(PickLimited)->Arg(2)->Arg(16);

// --- the gauges' order in memory ---

// As they lie: [process][backend], a row has one writer.
void SumRows(benchmark::State& state) {
  Bench bench("round-robin", static_cast<uint32_t>(state.range(0)),
              static_cast<uint32_t>(state.range(1)));
  std::vector<uint32_t> sums(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    bench.view().SumInFlight(bench.view().entries(), sums);
    benchmark::DoNotOptimize(sums.data());
  }
}
BENCHMARK(SumRows)->Args({100, 2})->Args({100, 16})->Args({1000, 16});

// The other order, [backend][process]: one backend's gauges share a cache line or two, which all
// processes write.
class Columns {
 public:
  Columns(uint32_t backends, uint32_t processes)
      : backends_(backends),
        processes_(processes),
        stride_((processes + 15) / 16 * 16),
        gauges_(backends * stride_) {}
  void Sum(std::vector<uint32_t>* sums) const {
    for (uint32_t b = 0; b < backends_; ++b) {
      uint32_t sum = 0;
      for (uint32_t p = 0; p < processes_; ++p)
        sum += gauges_[b * stride_ + p].load(std::memory_order_relaxed);
      (*sums)[b] = sum;
    }
  }

 private:
  uint32_t backends_, processes_;
  size_t stride_;
  std::vector<std::atomic<uint32_t>> gauges_;
};

void SumColumns(benchmark::State& state) {
  const Columns columns(static_cast<uint32_t>(state.range(0)),
                        static_cast<uint32_t>(state.range(1)));
  std::vector<uint32_t> sums(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    columns.Sum(&sums);
    benchmark::DoNotOptimize(sums.data());
  }
}
BENCHMARK(SumColumns)->Args({100, 2})->Args({100, 16})->Args({1000, 16});

// What a request pays for counting itself in and out while another process does the same at the
// same backend: words of one cache line (columns) against words of two (rows). Argument: words
// between the two.
void CountInAndOut(benchmark::State& state) {
  alignas(kCacheLine) static std::atomic<uint32_t> words[64];
  std::atomic<uint32_t>& own = words[static_cast<size_t>(state.thread_index() * state.range(0))];
  for (auto _ : state) {
    own.store(own.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    own.fetch_sub(1, std::memory_order_seq_cst);
  }
}
BENCHMARK(CountInAndOut)->ArgName("words_apart")->Arg(1)->Arg(32)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace ub
