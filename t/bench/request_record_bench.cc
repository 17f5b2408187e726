// What the metrics cost a request: one try and one whole request recorded, over many backends so
// that the caches are as cold as they would be.
#include <benchmark/benchmark.h>

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

}  // namespace
}  // namespace ub
