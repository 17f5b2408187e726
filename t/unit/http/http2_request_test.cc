#include "http/http2_request.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "http2_request_cases.h"

namespace ub {
namespace {

using std::string_view_literals::operator""sv;
using Field = Http2CaseField;

std::string Describe(const RequestHead& head) {
  std::string text = fmt::format("{} {} {}", head.method_text, head.target, head.authority);
  if (head.body == BodyKind::kLength) text += fmt::format(" length={}", head.content_length);
  if (head.body == BodyKind::kChunked) text += " chunked";
  if (head.upgrade) text += " upgrade";
  if (head.expect_continue) text += " expect";
  for (const HeaderField& field : head.headers) {
    if (field.id == HeaderId::kHost || field.id == HeaderId::kContentLength || field.id == HeaderId::kTransferEncoding) continue;
    text += fmt::format(" [{}={}]", field.name, field.value);
  }
  return text;
}

std::string Verdict(Http2Request* request, const Http2Case& each, const ParseLimits& limits) {
  request->Clear();
  for (const Field& field : each.fields) request->Add(field.first, field.second, limits);
  RequestHead head;
  const ParseOutcome outcome = request->Finish(each.end, limits, &head);
  if (outcome.verdict != ParseVerdict::kComplete) return std::to_string(outcome.status);
  EXPECT_EQ(head.minor_version, kHttp2Version) << each.name;
  return Describe(head);
}

TEST(Http2Request, EveryMustOfRfc9113ThatConcernsAnIntermediary) {
  Http2Request request;  // one for all, as a stream is used again
  for (const Http2Case& each : Http2Cases()) {
    EXPECT_EQ(Verdict(&request, each, ParseLimits{}), each.verdict) << each.name << " (" << each.source << ")";
  }
}

// Whatever byte stands where: what is accepted is one HTTP/1.1 request with the framing that was meant, by the very parser that
// judges clients of HTTP/1.
TEST(Http2Request, NoByteAnywhereMakesTwoRequestsOfOne) {
  Http2Request request;
  const ParseLimits limits;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'a', static_cast<char>(byte), 'b'};
    const std::string_view odd = text;
    for (const char* where : {"method", "path", "authority", "scheme", "name", "value", "cookie", "host", "te", "content-length"}) {
      const std::string_view at = where;
      std::vector<Field> fields = {{":method", at == "method" ? odd : "GET"sv},
                                   {":scheme", at == "scheme" ? odd : "http"sv},
                                   {":authority", at == "authority" ? odd : "a.example"sv}};
      const std::string path = "/" + text;
      fields.emplace_back(":path", at == "path" ? std::string_view(path) : "/"sv);
      if (at == "name") fields.emplace_back(odd, "v");
      if (at == "value") fields.emplace_back("x-value", odd);
      if (at == "cookie" || at == "host" || at == "te" || at == "content-length") fields.emplace_back(at, odd);
      request.Clear();
      for (const Field& field : fields) request.Add(field.first, field.second, limits);
      RequestHead head;
      const ParseOutcome outcome = request.Finish(true, limits, &head);
      if (outcome.verdict != ParseVerdict::kComplete) continue;
      EXPECT_EQ(head.body, BodyKind::kNone) << where << " " << byte;
      EXPECT_LE(head.headers.size(), 2u) << where << " " << byte;
      for (const HeaderField& field : head.headers) {
        EXPECT_EQ(field.value.find_first_of("\r\n\0"sv), std::string_view::npos) << where << " " << byte;
        EXPECT_TRUE(IsToken(field.name)) << where << " " << byte;
      }
      EXPECT_EQ(head.target.find_first_of(" \r\n\t"), std::string_view::npos) << where << " " << byte;
    }
  }
}

TEST(Http2Request, LimitsAreThoseOfHttp1) {
  Http2Request request;
  ParseLimits limits{1024, 10, 100};
  const std::string long_path = "/" + std::string(200, 'a');
  EXPECT_EQ(Verdict(&request, {"", {kGet, kHttp, kHost, {":path", long_path}}, "", ""}, limits), "414");
  const std::string large(600, 'v');
  EXPECT_EQ(Verdict(&request, {"", {kGet, kHttp, kHost, kRoot, {"x", large}}, "", ""}, limits).substr(0, 15), "GET / a.example");
  EXPECT_EQ(Verdict(&request, {"", {kGet, kHttp, kHost, kRoot, {"x", large}, {"y", large}}, "", ""}, limits), "431");
  EXPECT_EQ(Verdict(&request, {"", {kGet, kHttp, kHost, kRoot, {"cookie", large}, {"cookie", large}}, "", ""}, limits), "431");
  std::vector<Field> many = {kGet, kHttp, kHost, kRoot};
  for (int i = 0; i < 11; ++i) many.emplace_back("x", "y");
  EXPECT_EQ(Verdict(&request, {"", many, "", ""}, limits), "431");
  // In crumbs they are one.
  std::vector<Field> crumbs = {kGet, kHttp, kHost, kRoot};
  for (int i = 0; i < 30; ++i) crumbs.emplace_back("cookie", "a=b");
  EXPECT_NE(Verdict(&request, {"", crumbs, "", ""}, limits), "431");
}

TEST(Http2Request, FirstLineForTheLog) {
  Http2Request request;
  EXPECT_EQ(request.FirstLine(), "");
  request.Add(":method", "GET", ParseLimits{});
  request.Add(":path", "/x", ParseLimits{});
  EXPECT_EQ(request.FirstLine(), "GET /x HTTP/2.0\r\n");
}

TEST(Http2Trailers, AreCheckedLikeThoseOfAChunkedBody) {
  const auto verdict = [](std::vector<Field> fields) {
    Http2Trailers trailers;
    for (const Field& field : fields) trailers.Add(field.first, field.second);
    return trailers.error() != nullptr ? std::string("refused") : trailers.text();
  };
  EXPECT_EQ(verdict({{"x-sum", "1"}, {"grpc-status", "0"}}), "x-sum: 1\r\ngrpc-status: 0\r\n");
  EXPECT_EQ(verdict({{"cookie", "a"}, {"x-forwarded-for", "1"}, {"x", "y"}}), "x: y\r\n");
  EXPECT_EQ(verdict({{"content-length", "1"}}), "refused");
  EXPECT_EQ(verdict({{"transfer-encoding", "chunked"}}), "refused");
  EXPECT_EQ(verdict({{"connection", "close"}}), "refused");
  EXPECT_EQ(verdict({{":path", "/"}}), "refused");
  EXPECT_EQ(verdict({{"X", "y"}}), "refused");
  EXPECT_EQ(verdict({{"x", "a\r\nb"}}), "refused");
  EXPECT_EQ(verdict({{"x:y", "a"}}), "refused");
  const std::string long_value(9000, 'a');
  EXPECT_EQ(verdict({{"x", long_value}}), "refused");
}

}  // namespace
}  // namespace ub
