// What a head costs to parse: the request that wrk sends, a browser's, a short response, and the
// same requests through http_parser alone, so that the price of strictness can be read off. Run
// with --benchmark_min_time=1 on a quiet machine.
#include "http/http1_parser.h"

#include <benchmark/benchmark.h>
#include <http_parser.h>

#include <string_view>

#include "http/chunked_decoder.h"

namespace ub {
namespace {

constexpr std::string_view kShortRequest =
    "GET /index.html?page=2 HTTP/1.1\r\n"
    "Host: www.example.com:8080\r\n"
    "User-Agent: wrk/4.1.0 (bench)\r\n"
    "Accept: */*\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: s=abcdef012345\r\n"
    "\r\n";

constexpr std::string_view kBrowserRequest =
    "GET /shop/items/12345?color=blue&size=xl HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.example.com/shop/items?color=blue\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "\r\n";

constexpr std::string_view kShortResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
    "Content-Type: text/html\r\n"
    "Content-Length: 615\r\n"
    "Connection: keep-alive\r\n"
    "\r\n";

void ParseRequest(benchmark::State& state, std::string_view bytes) {
  const ParseLimits limits;
  RequestHead head;
  for (auto _ : state) {
    HeadCursor cursor;
    const ParseOutcome outcome = ParseRequestHead(bytes, cursor, limits, &head);
    if (outcome.verdict != ParseVerdict::kComplete) {
      state.SkipWithError("refused");
      break;
    }
    benchmark::DoNotOptimize(head.headers.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}

void ParseResponse(benchmark::State& state, std::string_view bytes) {
  const ParseLimits limits;
  ResponseHead head;
  for (auto _ : state) {
    HeadCursor cursor;
    const ParseOutcome outcome = ParseResponseHead(bytes, cursor, limits, Method::kGet, &head);
    if (outcome.verdict != ParseVerdict::kComplete) {
      state.SkipWithError("refused");
      break;
    }
    benchmark::DoNotOptimize(head.headers.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}

// http_parser without callbacks and without any of the checks: the floor of this design.
void HttpParserAlone(benchmark::State& state, std::string_view bytes, http_parser_type type) {
  http_parser_settings settings{};
  settings.on_headers_complete = [](http_parser*) { return 1; };
  for (auto _ : state) {
    http_parser parser;
    http_parser_init(&parser, type);
    benchmark::DoNotOptimize(http_parser_execute(&parser, &settings, bytes.data(), bytes.size()));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}

// 64 chunks of 1 KiB.
void DecodeChunks(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < 64; ++i) {
    body.append("400\r\n").append(1024, 'x').append("\r\n");
  }
  body.append("0\r\n\r\n");
  ChunkedDecoder decoder;
  for (auto _ : state) {
    decoder.Reset();
    std::string_view input = body;
    std::string_view data;
    while (decoder.Next(&input, &data) == ChunkedDecoder::Step::kData) {
      benchmark::DoNotOptimize(data.data());
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}

BENCHMARK_CAPTURE(ParseRequest, short_head, kShortRequest);
BENCHMARK_CAPTURE(ParseRequest, browser_head, kBrowserRequest);
BENCHMARK_CAPTURE(ParseResponse, short_head, kShortResponse);
BENCHMARK_CAPTURE(HttpParserAlone, short_request, kShortRequest, HTTP_REQUEST);
BENCHMARK_CAPTURE(HttpParserAlone, browser_request, kBrowserRequest, HTTP_REQUEST);
BENCHMARK_CAPTURE(HttpParserAlone, short_response, kShortResponse, HTTP_RESPONSE);
BENCHMARK(DecodeChunks);

}  // namespace
}  // namespace ub
