// What the rate limiter costs a request: one client that is always near, many in a table far larger
// than the caches, and several workers that take from one bucket at once. Run with
// --benchmark_min_time=1 on a quiet machine.
#include "http/rate_limiter.h"

#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>

#include <cstring>

#include "core/clock.h"
#include "core/shm_segment.h"

namespace ub {
namespace {

constexpr uint32_t kDefault = 65536;  // shared_memory.rate_limit_entries: 512 KiB
constexpr uint32_t kHuge = 1u << 24;  // 128 MiB, in no cache

RateTable Table(uint32_t entries) {
  static const auto make = [](uint32_t count) {
    ShmLimits limits;
    limits.rate_entries = count;
    return new ShmSegment(std::move(*ShmSegment::Create(limits)));
  };
  static const ShmSegment* const segments[] = {make(kDefault), make(kHuge)};
  return segments[entries == kHuge]->rate_table();
}

PeerAddress Client(uint32_t number) {
  sockaddr_storage storage{};
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(number);
  std::memcpy(&storage, &in, sizeof in);
  return PeerAddress::From(storage);
}

RateLimitConfig Settings(uint32_t rate) {
  RateLimitConfig config;
  config.enabled = true;
  config.requests_per_second = rate;
  config.burst = rate;
  return config;
}

// `clients` addresses in turn, in an order that no prefetcher foresees.
void Admit(benchmark::State& state, uint32_t entries, uint32_t rate) {
  RateLimiter limiter(Settings(rate), Table(entries), 1);
  const RequestHead head;
  Random random(static_cast<uint64_t>(state.thread_index()) + 2);
  const auto clients = static_cast<uint32_t>(state.range(0));
  uint64_t now = MonotonicNs(), refused = 0;
  for (auto _ : state) {
    StageResult result;
    now += 100;  // the loop's clock costs nothing here; time passes all the same
    refused += !limiter.Admit({head, Client(random.Below(clients)), now}, &result);
  }
  state.counters["refused"] = benchmark::Counter(static_cast<double>(refused));
}

BENCHMARK_CAPTURE(Admit, passed, kDefault, 10'000'000)->Arg(1)->Arg(1000)->Arg(100'000);
BENCHMARK_CAPTURE(Admit, shared, kDefault, 10'000'000)->Arg(1)->Threads(2)->UseRealTime();
BENCHMARK_CAPTURE(Admit, refused, kDefault, 1)->Arg(1);
BENCHMARK_CAPTURE(Admit, huge, kHuge, 10'000'000)->Arg(10'000'000);

}  // namespace
}  // namespace ub
