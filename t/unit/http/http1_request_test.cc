#include <http_parser.h>

#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cut_feed.h"
#include "gtest/gtest.h"
#include "http/char_class.h"
#include "http/http1_parser.h"

namespace ub {
namespace {

using std::string_view_literals::operator""sv;

// `verdict` is "more", the status of a refusal, or what an accepted head comes to: method, target,
// authority ("-": none), keep or close, body, flags, and how many bytes were left for what follows.
struct Case {
  const char* name;
  std::string_view bytes;
  std::string_view verdict;
  const char* source;
};

#define LINE(line) line "\r\nHost: a\r\n\r\n"sv
#define FIELDS(fields) "GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n\r\n"sv
#define HOST(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"sv
#define HOST10(host) "GET / HTTP/1.0\r\nHost: " host "\r\n\r\n"sv
constexpr Case kCases[] = {
#include "request_line_cases.inc"

#include "request_field_cases.inc"

#include "request_framing_cases.inc"
};
#undef LINE
#undef FIELDS
#undef HOST
#undef HOST10

std::string Describe(const RequestHead& head, size_t size) {
  std::string text(head.method_text);
  text.append(" ").append(head.target).append(" ");
  text.append(head.authority.empty() ? "-" : head.authority);
  text.append(head.keep_alive ? " keep" : " close");
  if (head.body == BodyKind::kLength) {
    text.append(" length=").append(std::to_string(head.content_length));
  } else {
    text.append(head.body == BodyKind::kChunked ? " chunked" : " none");
  }
  text.append(head.expect_continue ? " expect" : "").append(head.upgrade ? " upgrade" : "");
  if (head.bytes < size) {
    text.append(" rest=").append(std::to_string(size - head.bytes));
  }
  return text;
}

struct Seen {
  std::string verdict;
  std::string reason;
  size_t at = 0;  // bytes there when the verdict fell
};

// Sends `bytes` cut at `cuts` until a verdict falls.
Seen Feed(std::string_view bytes, const Cuts& cuts, const ParseLimits& limits) {
  HeadCursor cursor;
  RequestHead head;
  for (size_t cut : cuts) {
    const ExactCopy piece(bytes.substr(0, cut));
    const ParseOutcome outcome = ParseRequestHead(piece.view(), cursor, limits, &head);
    if (outcome.verdict == ParseVerdict::kComplete) {
      return {Describe(head, bytes.size()), "", cut};
    }
    if (outcome.verdict == ParseVerdict::kBad) {
      EXPECT_NE(outcome.reason, std::string_view());
      return {std::to_string(outcome.status), outcome.reason, cut};
    }
  }
  return {"more", "", bytes.size()};
}

Seen FeedWhole(std::string_view bytes, const ParseLimits& limits = {}) {
  return Feed(bytes, WholeCut(bytes.size()), limits);
}

// The verdict however `bytes` are cut; a failure where it depends on that.
std::string FeedAll(std::string_view bytes, const ParseLimits& limits = {}) {
  const Seen whole = FeedWhole(bytes, limits);
  for (const Cuts& cuts : AllCuts(bytes.size())) {
    const Seen seen = Feed(bytes, cuts, limits);
    EXPECT_EQ(seen.verdict, whole.verdict) << "in " << cuts.size() << " pieces";
    EXPECT_EQ(seen.reason, whole.reason) << "in " << cuts.size() << " pieces";
  }
  return whole.verdict;
}

std::string Request(std::string_view before, size_t count, char filler, std::string_view after) {
  return std::string(before).append(count, filler).append(after);
}

TEST(Http1Request, TableIsLargeAndNamesItsSources) {
  std::set<std::string> names;
  for (const Case& c : kCases) {
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " twice";
    const std::string_view source = c.source;
    EXPECT_TRUE(source.starts_with("RFC ") || source.starts_with("CVE-")) << c.name;
  }
  EXPECT_GE(names.size(), 300u);
}

TEST(Http1Request, VerdictIsTheTablesHoweverTheBytesAreCut) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.name) + " (" + c.source + ")");
    EXPECT_EQ(FeedAll(c.bytes), c.verdict);
  }
}

// What the test itself gets from http_parser, in one piece, for a head that was accepted.
struct Reference {
  std::string url;
  std::vector<std::string> names;
  std::vector<std::string> values;
  bool chunked = false;
  bool keep_alive = false;
  uint64_t length = 0;
};

bool AskHttpParser(std::string_view head, Reference* reference, std::string* method) {
  http_parser_settings settings{};
  settings.on_url = [](http_parser* parser, const char* at, size_t size) {
    static_cast<Reference*>(parser->data)->url.append(at, size);
    return 0;
  };
  settings.on_header_field = [](http_parser* parser, const char* at, size_t size) {
    static_cast<Reference*>(parser->data)->names.emplace_back(at, size);
    return 0;
  };
  settings.on_header_value = [](http_parser* parser, const char* at, size_t size) {
    static_cast<Reference*>(parser->data)->values.emplace_back(TrimBlanks({at, size}));
    return 0;
  };
  settings.on_headers_complete = [](http_parser* parser) {
    auto* out = static_cast<Reference*>(parser->data);
    out->chunked = (parser->flags & F_CHUNKED) != 0;
    out->length = (parser->flags & F_CONTENTLENGTH) != 0 ? parser->content_length : 0;
    out->keep_alive = http_should_keep_alive(parser) != 0;
    return 1;
  };
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  parser.data = reference;
  const size_t taken = http_parser_execute(&parser, &settings, head.data(), head.size());
  *method = http_method_str(static_cast<http_method>(parser.method));
  return HTTP_PARSER_ERRNO(&parser) == HPE_OK && taken == head.size();
}

TEST(Http1Request, HttpParserReadsAcceptedHeadsAlike) {
  int accepted = 0;
  for (const Case& c : kCases) {
    HeadCursor cursor;
    RequestHead head;
    if (ParseRequestHead(c.bytes, cursor, {}, &head).verdict != ParseVerdict::kComplete) {
      continue;
    }
    SCOPED_TRACE(c.name);
    ++accepted;
    Reference reference;
    std::string method;
    ASSERT_TRUE(AskHttpParser(c.bytes.substr(0, head.bytes), &reference, &method));
    EXPECT_EQ(head.method_text, method);
    EXPECT_EQ(c.bytes.substr(cursor.target_start, cursor.target_end - cursor.target_start),
              reference.url);
    EXPECT_EQ(head.body == BodyKind::kChunked, reference.chunked);
    EXPECT_EQ(head.content_length, reference.length);
    EXPECT_TRUE(!head.keep_alive || reference.keep_alive);
    ASSERT_EQ(head.headers.size(), reference.names.size());
    ASSERT_EQ(head.headers.size(), reference.values.size());
    for (size_t i = 0; i < head.headers.size(); ++i) {
      EXPECT_EQ(head.headers[i].name, reference.names[i]);
      EXPECT_EQ(head.headers[i].value, reference.values[i]);
      EXPECT_EQ(head.headers[i].id, HeaderIdOf(head.headers[i].name));
    }
  }
  EXPECT_GE(accepted, 80);
}

// Puts each of the 256 bytes in one place of a request and returns those that were accepted there.
std::set<int> AcceptedBytes(std::string_view before, std::string_view after) {
  std::set<int> accepted;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes = Request(before, 1, static_cast<char>(byte), after);
    const std::string verdict = FeedAll(bytes);
    if (verdict[0] != '4' && verdict[0] != '5') {
      accepted.insert(byte);
    }
  }
  return accepted;
}

std::set<int> Range(int first, int last) {
  std::set<int> bytes;
  for (int byte = first; byte <= last; ++byte) {
    bytes.insert(byte);
  }
  return bytes;
}

TEST(Http1Request, BytesOfATarget) {
  // A space would end the target: "/xy" and then no version.
  std::set<int> expected = Range(0x21, 0x7e);
  expected.erase('#');
  EXPECT_EQ(AcceptedBytes("GET /x", "y HTTP/1.1\r\nHost: a\r\n\r\n"), expected);
}

TEST(Http1Request, BytesOfAFieldName) {
  std::set<int> expected;
  for (char c : "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"sv) {
    expected.insert(static_cast<unsigned char>(c));
  }
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1\r\nHost: a\r\n", "y: z\r\n\r\n"), expected);
  expected.insert(':');  // ends the name, the rest is its value
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1\r\nHost: a\r\nX", "y: z\r\n\r\n"), expected);
}

TEST(Http1Request, BytesOfAFieldValue) {
  std::set<int> expected = Range(0x20, 0xff);
  expected.erase(0x7f);
  expected.insert('\t');
  // At every distance from the start, so that each lane of a word-wise scan is met.
  for (size_t lead = 0; lead < 18; ++lead) {
    const std::string before = Request("GET / HTTP/1.1\r\nHost: a\r\nX:", lead, 'v', "");
    EXPECT_EQ(AcceptedBytes(before, "wwwwwwwwwwww\r\n\r\n"), expected) << lead;
  }
}

TEST(Http1Request, BytesOfTheVersion) {
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.", "\r\nHost: a\r\n\r\n"), (std::set<int>{'0', '1'}));
  EXPECT_EQ(AcceptedBytes("GET / HTTP/", ".1\r\nHost: a\r\n\r\n"), (std::set<int>{'1'}));
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1", "\r\nHost: a\r\n\r\n"), std::set<int>{});
}

TEST(Http1Request, BytesThatMayFollowACr) {
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1\r", "Host: a\r\n\r\n"), (std::set<int>{'\n'}));
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1\r\nHost: a\r", "\r\n"), (std::set<int>{'\n'}));
  EXPECT_EQ(AcceptedBytes("GET / HTTP/1.1\r\nHost: a\r\n\r", ""), (std::set<int>{'\n'}));
}

TEST(Http1Request, RefusesAtTheByteThatIsWrong) {
  // The fault is the last byte of each: without it the parser still waits.
  constexpr std::string_view kFaults[] = {
      "\n"sv,
      "\r\r"sv,
      "GET\t"sv,
      "\x16"sv,
      "GET  "sv,
      "GET /\r"sv,
      "GET /#"sv,
      "GET /\x80"sv,
      "GET / h"sv,
      "GET / HTTP/1.1 "sv,
      "GET / HTTP/2.0\r"sv,
      "GET / HTTP/1.1\n"sv,
      "GET / HTTP/1.1\rH"sv,
      "GET / HTTP/1.1\r\n "sv,
      "GET / HTTP/1.1\r\n:"sv,
      "GET / HTTP/1.1\r\nHost "sv,
      "GET / HTTP/1.1\r\nHost\r"sv,
      "GET / HTTP/1.1\r\nHost: a\0"sv,
      "GET / HTTP/1.1\r\nHost: a\n"sv,
      "GET / HTTP/1.1\r\nHost: a\r\n\t"sv,
      "GET / HTTP/1.1\r\nHost: a\r\n\rx"sv,
  };
  for (std::string_view fault : kFaults) {
    SCOPED_TRACE(fault);
    EXPECT_EQ(FeedAll(fault.substr(0, fault.size() - 1)), "more");
    EXPECT_NE(FeedAll(fault), "more");
    const std::string with_more = std::string(fault).append(100, 'x');
    EXPECT_EQ(Feed(with_more, ByteCuts(with_more.size()), {}).at, fault.size());
  }
}

TEST(Http1Request, WholeHeadIsBounded) {
  constexpr std::string_view kBefore = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  constexpr std::string_view kAfter = "\r\n\r\n";
  ParseLimits limits;
  limits.header_bytes = 512;
  const size_t fits = limits.header_bytes - kBefore.size() - kAfter.size();
  EXPECT_EQ(FeedAll(Request(kBefore, fits, 'v', kAfter), limits), "GET / a keep none");
  EXPECT_EQ(FeedAll(Request(kBefore, fits + 1, 'v', kAfter), limits), "431");
  EXPECT_EQ(FeedAll(Request(kBefore, fits + 1000, 'v', kAfter), limits), "431");
  EXPECT_EQ(FeedAll(Request(kBefore, fits, 'v', ""), limits), "more");
  // Refused once it cannot end in time any more, not when the end shows up.
  EXPECT_EQ(FeedAll(Request(kBefore, fits + kAfter.size(), 'v', ""), limits), "431");
}

TEST(Http1Request, BytesBehindTheHeadDoNotCount) {
  ParseLimits limits;
  limits.header_bytes = 64;
  const std::string bytes = Request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 5000, 'x', "");
  EXPECT_EQ(FeedAll(bytes, limits), "GET / a keep none rest=5000");
}

TEST(Http1Request, HeadersAreCounted) {
  ParseLimits limits;
  limits.headers = 10;
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 9; ++i) {
    bytes.append("X: y\r\n");
  }
  EXPECT_EQ(FeedAll(bytes + "\r\n", limits), "GET / a keep none");
  EXPECT_EQ(FeedAll(bytes + "X: y\r\n\r\n", limits), "431");
  EXPECT_EQ(FeedAll(bytes + "X", limits), "431");
}

TEST(Http1Request, TargetIsBounded) {
  ParseLimits limits;
  limits.uri_bytes = 100;
  constexpr std::string_view kAfter = " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(FeedAll(Request("GET /", 99, 'p', kAfter), limits),
            Request("GET /", 99, 'p', " a keep none"));
  EXPECT_EQ(FeedAll(Request("GET /", 100, 'p', kAfter), limits), "414");
  EXPECT_EQ(FeedAll(Request("GET /", 100, 'p', ""), limits), "414");
  EXPECT_EQ(FeedAll(Request("GET /", 99, 'p', ""), limits), "more");
  // The head's limit is met within the target: still the target's fault.
  limits.uri_bytes = 1000;
  limits.header_bytes = 200;
  EXPECT_EQ(FeedAll(Request("GET /", 300, 'p', kAfter), limits), "414");
}

TEST(Http1Request, LargeHeadsAreReadUnderALargeLimit) {
  // http_parser would stop at 80 KiB of its own; a body makes the parser ask it.
  ParseLimits limits;
  limits.header_bytes = 256 * 1024;
  const std::string bytes = Request(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: ", 200 * 1024, 'v', "\r\n\r\n");
  EXPECT_EQ(FeedWhole(bytes, limits).verdict, "POST / a keep length=1");
}

TEST(Http1Request, HeadIsReusedWithoutTraces) {
  constexpr std::string_view kFirst =
      "POST http://b?q HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\nExpect: 100-continue\r\n"
      "Connection: upgrade, close\r\nUpgrade: x\r\n\r\n";
  RequestHead head;
  HeadCursor first;
  ASSERT_EQ(ParseRequestHead(kFirst, first, {}, &head).verdict, ParseVerdict::kComplete);
  EXPECT_EQ(Describe(head, head.bytes), "POST /?q b close length=9 expect upgrade");
  HeadCursor second;
  ASSERT_EQ(ParseRequestHead("GET / HTTP/1.0\r\n\r\n", second, {}, &head).verdict,
            ParseVerdict::kComplete);
  EXPECT_EQ(Describe(head, head.bytes), "GET / - close none");
  EXPECT_TRUE(head.headers.empty());
}

TEST(Http1Request, TrickledHeadCostsOnlyItsBytes) {
  // Every byte alone: the cursor must have moved over all that is there after each.
  constexpr std::string_view kBytes = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  HeadCursor cursor;
  RequestHead head;
  for (size_t size = 1; size <= kBytes.size(); ++size) {
    ParseRequestHead(kBytes.substr(0, size), cursor, {}, &head);
    EXPECT_EQ(cursor.scanned, size);
  }
}

TEST(Http1Request, MutatedHeadsHaveOneVerdict) {
  // Heads of the table with a byte or two changed, dropped or doubled: anything may be the verdict,
  // but only one.
  std::mt19937 random(20261124);
  constexpr std::string_view kBytes = "\0\t\n\r :;,\x0b\x7f\x80#aZ09"sv;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes(kCases[random() % std::size(kCases)].bytes);
    for (int change = 0; change < 2 && !bytes.empty(); ++change) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = kBytes[random() % kBytes.size()];
          break;
        case 1:
          bytes.erase(at, 1);
          break;
        default:
          bytes.insert(at, 1, bytes[at]);
      }
    }
    FeedAll(bytes);
    ASSERT_FALSE(HasFailure()) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace ub
