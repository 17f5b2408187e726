// What a line of the access log costs to write: noting a request's head, and the line itself. Run
// with
// --benchmark_min_time=1 on a quiet machine.
#include "http/access_line.h"

#include <benchmark/benchmark.h>

#include <string>

#include "core/clock.h"
#include "http/access_log.h"

namespace ub {
namespace {

RequestHead Head() {
  RequestHead head;
  head.method_text = "GET";
  head.target = "/shop/items/12345?color=blue&size=xl";
  head.headers = {
      {"Host", "www.example.com", HeaderId::kHost},
      {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
       HeaderId::kOther},
      {"Accept", "text/html", HeaderId::kAccept},
      {"Accept-Language", "en-GB,en;q=0.5", HeaderId::kOther},
      {"Referer", "https://www.example.com/shop", HeaderId::kOther}};
  return head;
}

void Line(benchmark::State& state, AccessFormat format) {
  const RequestHead head = Head();
  AccessNotes notes;
  std::string out(4096, '\0');
  for (auto _ : state) {
    notes.Take(head, 1);
    AccessEntry entry;
    notes.Fill(&entry);
    entry.unix_ms = UnixMs();
    entry.request_id = "0123456789abcdef0123456789abcdef";
    entry.client = "192.0.2.1";
    entry.status = 200;
    entry.bytes_sent = 12345;
    entry.backend = "10.0.0.1:8080";
    entry.first_byte_ns = entry.total_ns = 1'234'567;
    benchmark::DoNotOptimize(FormatAccessLine(entry, format, out.data(), out.size()));
  }
}

BENCHMARK_CAPTURE(Line, combined, AccessFormat::kCombined);
BENCHMARK_CAPTURE(Line, json, AccessFormat::kJson);

}  // namespace
}  // namespace ub
