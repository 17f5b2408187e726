// What the metrics cost a request: one try and one whole request recorded, over many backends so
// that the caches are as cold as they would be.
#include <benchmark/benchmark.h>

#include <array>
#include <optional>

#include "core/random.h"
#include "http/request_record.h"

namespace ub {
namespace {

void RecordOneRequest(benchmark::State& state) {
  auto shm = ShmSegment::Create({4, 1024, 16});
  if (!shm) {
    state.SkipWithError("no shared segment");
    return;
  }
  Random random(1);
  const auto backends = static_cast<uint32_t>(state.range(0));
  uint64_t ns = 700'000;
  for (auto _ : state) {
    ns = 100'000 + (ns * 2862933555777941757u + 3037000493u) % 3'000'000;
    RecordTry(*shm, 1, {random.Below(backends), false, false, ns, 300, 1200});
    RecordRequest(*shm, 1, {200, true, false, ns + 50'000});
  }
}
BENCHMARK(RecordOneRequest)->Arg(1)->Arg(10)->Arg(1000);

// Two workers count their requests at once, in flight and done: in rows of one segment, as they are (1), or each in a
// segment that nobody else has (0). What the first costs more is the price of sharing.
void CountBesideAnother(benchmark::State& state) {
  static std::array<std::optional<ShmSegment>, 2> segments;
  const bool shared = state.range(0) != 0;
  const auto row = static_cast<uint32_t>(state.thread_index());
  std::optional<ShmSegment>& own = segments[shared ? 0 : row];
  if (row == 0 || !shared) {
    auto made = ShmSegment::Create({4, 1024, 16});
    if (made) own.emplace(std::move(*made));
  }
  uint64_t ns = 700'000;
  for (auto _ : state) {  // starts once both threads are here
    const auto backend = static_cast<uint32_t>(ns % 10);
    std::atomic<uint32_t>& in_flight = own->in_flight(row, backend);
    in_flight.store(in_flight.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    ns = 100'000 + (ns * 2862933555777941757u + 3037000493u) % 3'000'000;
    RecordTry(*own, row, {backend, false, false, ns, 300, 1200});
    RecordRequest(*own, row, {200, true, false, ns + 50'000});
    in_flight.store(in_flight.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }
}
BENCHMARK(CountBesideAnother)->Arg(0)->Arg(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace ub
