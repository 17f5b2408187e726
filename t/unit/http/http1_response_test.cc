#include <set>
#include <string>
#include <string_view>

#include "cut_feed.h"
#include "gtest/gtest.h"
#include "http/http1_parser.h"

namespace ub {
namespace {

using std::string_view_literals::operator""sv;

// `verdict` is "more", "502", or what an accepted head comes to: status, keep or close, body, what
// Content-Length said where no body follows, and how many bytes were left.
struct Case {
  const char* name;
  std::string_view bytes;
  Method request;
  std::string_view verdict;
  const char* source;
};

#define STATUS(line) "HTTP/1.1 " line "\r\n\r\n"sv
#define FIELDSOF(line, fields) "HTTP/1.1 " line "\r\n" fields "\r\n\r\n"sv
#define FIELDS(fields) FIELDSOF("200 OK", fields)
#define FIELDS101(fields) FIELDSOF("101 Switching Protocols", fields)
constexpr Case kCases[] = {
#include "response_cases.inc"
};
#undef STATUS
#undef FIELDSOF
#undef FIELDS
#undef FIELDS101

std::string Describe(const ResponseHead& head, size_t size) {
  std::string text = std::to_string(head.status);
  text.append(head.keep_alive ? " keep" : " close");
  switch (head.body) {
    case BodyKind::kNone:
      text.append(" none");
      if (head.has_content_length) {
        text.append(" said=").append(std::to_string(head.content_length));
      }
      break;
    case BodyKind::kLength:
      text.append(" length=").append(std::to_string(head.content_length));
      break;
    case BodyKind::kChunked:
      text.append(" chunked");
      break;
    case BodyKind::kUntilClose:
      text.append(" until-close");
      break;
  }
  if (head.bytes < size) {
    text.append(" rest=").append(std::to_string(size - head.bytes));
  }
  return text;
}

struct Seen {
  std::string verdict;
  std::string reason;
};

Seen Feed(std::string_view bytes, const Cuts& cuts, Method request, const ParseLimits& limits) {
  HeadCursor cursor;
  ResponseHead head;
  for (size_t cut : cuts) {
    const ExactCopy piece(bytes.substr(0, cut));
    const ParseOutcome outcome = ParseResponseHead(piece.view(), cursor, limits, request, &head);
    if (outcome.verdict == ParseVerdict::kComplete) {
      return {Describe(head, bytes.size()), ""};
    }
    if (outcome.verdict == ParseVerdict::kBad) {
      EXPECT_NE(outcome.reason, std::string_view());
      return {std::to_string(outcome.status), outcome.reason};
    }
  }
  return {"more", ""};
}

// The verdict however `bytes` are cut; a failure where it depends on that.
std::string FeedAll(std::string_view bytes, Method request = Method::kGet,
                    const ParseLimits& limits = {}) {
  const Seen whole = Feed(bytes, WholeCut(bytes.size()), request, limits);
  for (const Cuts& cuts : AllCuts(bytes.size())) {
    const Seen seen = Feed(bytes, cuts, request, limits);
    EXPECT_EQ(seen.verdict, whole.verdict) << "in " << cuts.size() << " pieces";
    EXPECT_EQ(seen.reason, whole.reason) << "in " << cuts.size() << " pieces";
  }
  return whole.verdict;
}

TEST(Http1Response, TableIsLargeAndNamesItsSources) {
  std::set<std::string> names;
  for (const Case& c : kCases) {
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " twice";
    EXPECT_TRUE(std::string_view(c.source).starts_with("RFC ")) << c.name;
  }
  EXPECT_GE(names.size(), 120u);
}

TEST(Http1Response, VerdictIsTheTablesHoweverTheBytesAreCut) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.name) + " (" + c.source + ")");
    EXPECT_EQ(FeedAll(c.bytes, c.request), c.verdict);
  }
}

TEST(Http1Response, HeadIsFilled) {
  constexpr std::string_view kBytes =
      "HTTP/1.0 404 Not Here\r\nServer:  x \r\nContent-Length: 3\r\n\r\n";
  HeadCursor cursor;
  ResponseHead head;
  ASSERT_EQ(ParseResponseHead(kBytes, cursor, {}, Method::kGet, &head).verdict,
            ParseVerdict::kComplete);
  EXPECT_EQ(head.reason, "Not Here");
  EXPECT_EQ(head.minor_version, 0);
  EXPECT_TRUE(head.has_content_length);
  ASSERT_EQ(head.headers.size(), 2u);
  EXPECT_EQ(head.headers[0].name, "Server");
  EXPECT_EQ(head.headers[0].value, "x");
  EXPECT_EQ(head.headers[0].id, HeaderId::kOther);
  EXPECT_EQ(head.headers[1].id, HeaderId::kContentLength);
}

TEST(Http1Response, HeadIsReusedWithoutTraces) {
  ResponseHead head;
  HeadCursor first;
  constexpr std::string_view kFirst =
      "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
  ASSERT_EQ(ParseResponseHead(kFirst, first, {}, Method::kGet, &head).verdict,
            ParseVerdict::kComplete);
  HeadCursor second;
  ASSERT_EQ(ParseResponseHead("HTTP/1.1 304\r\n\r\n", second, {}, Method::kGet, &head).verdict,
            ParseVerdict::kComplete);
  EXPECT_EQ(Describe(head, head.bytes), "304 keep none");
  EXPECT_EQ(head.reason, "");
  EXPECT_EQ(head.content_length, 0u);
  EXPECT_TRUE(head.headers.empty());
}

TEST(Http1Response, BytesOfAReason) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string bytes = "HTTP/1.1 200 OK";
    bytes.push_back(static_cast<char>(byte));
    bytes.append("done\r\n\r\n");
    const bool text = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    EXPECT_EQ(FeedAll(bytes), text ? "200 close until-close" : "502") << byte;
  }
}

TEST(Http1Response, GarbageIsRefusedAtItsFirstByte) {
  EXPECT_EQ(FeedAll("<"), "502");
  EXPECT_EQ(FeedAll("HTTQ"), "502");
  EXPECT_EQ(FeedAll("HTTP/1.1"), "more");
  EXPECT_EQ(FeedAll("HTTP/1.1x"), "502");
}

TEST(Http1Response, LimitsHold) {
  ParseLimits limits;
  limits.header_bytes = 256;
  limits.headers = 3;
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  EXPECT_EQ(FeedAll(start + "X: y\r\nX: y\r\n\r\n", Method::kGet, limits), "200 keep length=0");
  EXPECT_EQ(FeedAll(start + "X: y\r\nX: y\r\nX: y\r\n\r\n", Method::kGet, limits), "502");
  EXPECT_EQ(FeedAll(start + "X: " + std::string(400, 'v') + "\r\n\r\n", Method::kGet, limits),
            "502");
  EXPECT_EQ(FeedAll("HTTP/1.1 200 " + std::string(400, 'v'), Method::kGet, limits), "502");
}

}  // namespace
}  // namespace ub
