#include "http/http1_parser.h"

#include <http_parser.h>

#include <algorithm>
#include <limits>

#include "http/authority.h"
#include "http/char_class.h"
#include "http/framing.h"
#include "http/head_scanner.h"

namespace ub {
namespace {

// What http_parser makes of a head's framing.
struct SecondOpinion {
  uint64_t length = 0;
  bool has_length = false;
  bool chunked = false;
};

// 1: no body follows in these bytes; the head is all that http_parser gets to see.
int OnHeadersComplete(http_parser* parser) {
  auto* opinion = static_cast<SecondOpinion*>(parser->data);
  opinion->has_length = (parser->flags & F_CONTENTLENGTH) != 0;
  opinion->chunked = (parser->flags & F_CHUNKED) != 0;
  opinion->length = opinion->has_length ? parser->content_length : 0;
  return 1;
}

// Does http_parser accept this head and frame it as we do? Asked where a body or a tunnel follows,
// for there two readers that disagree are an open door. Not asked for every head: it costs more
// than all the rest (t/bench).
bool HttpParserAgrees(std::string_view head, http_parser_type type, const FieldFacts& facts,
                      const char** reason) {
  // The library's own limit is a global of 80 KiB; ours is ParseLimits::header_bytes.
  static const bool unlimited =
      (http_parser_set_max_header_size(std::numeric_limits<uint32_t>::max()), true);
  static_cast<void>(unlimited);
  http_parser_settings settings{};
  settings.on_headers_complete = OnHeadersComplete;
  SecondOpinion opinion;
  http_parser parser;
  http_parser_init(&parser, type);
  parser.data = &opinion;
  const size_t taken = http_parser_execute(&parser, &settings, head.data(), head.size());
  if (HTTP_PARSER_ERRNO(&parser) != HPE_OK) {
    *reason = http_errno_description(HTTP_PARSER_ERRNO(&parser));
    return false;
  }
  *reason = "ambiguous framing";
  return taken == head.size() && opinion.chunked == facts.chunked &&
         opinion.has_length == facts.has_length && opinion.length == facts.length;
}

// RFC 9110 section 9.1 and the registry of methods, as far as http_parser has it.
bool FindMethod(std::string_view text, Method* method) {
  static constexpr struct {
    std::string_view name;
    Method method;
  } kCommon[] = {
      {"GET", Method::kGet},     {"POST", Method::kPost},       {"HEAD", Method::kHead},
      {"PUT", Method::kPut},     {"DELETE", Method::kDelete},   {"OPTIONS", Method::kOptions},
      {"PATCH", Method::kPatch}, {"CONNECT", Method::kConnect}, {"TRACE", Method::kTrace},
  };
  for (const auto& common : kCommon) {
    if (text == common.name) {
      *method = common.method;
      return true;
    }
  }
#define UB_METHOD_NAME(number, name, string) #string,
  static constexpr std::string_view kOthers[] = {HTTP_METHOD_MAP(UB_METHOD_NAME)};
#undef UB_METHOD_NAME
  *method = Method::kOther;
  return std::find(std::begin(kOthers), std::end(kOthers), text) != std::end(kOthers);
}

// Cuts the target down to what is sent on; false with *reason where its form does not fit (RFC 9112
// section 3.2).
bool NormaliseTarget(std::string_view raw, RequestHead* head, AbsoluteTarget* absolute,
                     const char** reason) {
  const bool options = head->method == Method::kOptions;
  if (raw.front() == '/' || (options && raw == "*")) {
    head->target = raw;
    return true;
  }
  if (!SplitAbsoluteTarget(raw, absolute)) {
    *reason = "unsupported form of request target";
    return false;
  }
  if (!IsValidAuthority(absolute->authority)) {
    *reason = "malformed authority in the request target";
    return false;
  }
  if (absolute->rest.empty()) {
    head->target = options ? "*" : "/";
  } else if (absolute->rest.front() == '/') {
    head->target = absolute->rest;
  } else {
    head->own_target.assign(1, '/');
    head->own_target.insert(head->own_target.end(), absolute->rest.begin(), absolute->rest.end());
    head->target = {head->own_target.data(), head->own_target.size()};
  }
  return true;
}

// RFC 9112 section 3.2.2 and 3.3. Sets head->authority.
bool CheckHost(const FieldFacts& facts, const AbsoluteTarget& absolute, RequestHead* head,
               const char** reason) {
  if (facts.host == nullptr) {
    if (head->minor_version == 1) {
      *reason = "no Host";
      return false;
    }
    head->authority = absolute.authority;
    return true;
  }
  if (!IsValidAuthority(facts.host->value)) {
    *reason = "malformed Host";
    return false;
  }
  if (absolute.authority.empty()) {
    head->authority = facts.host->value;
    return true;
  }
  if (!SameAuthority(facts.host->value, absolute.authority, absolute.https)) {
    *reason = "Host differs from the request target";
    return false;
  }
  head->authority = absolute.authority;
  return true;
}

// RFC 9110 section 10.1.1: nothing but 100-continue is known, and in HTTP/1.0 or without a body it
// means nothing.
bool CheckExpect(RequestHead* head) {
  bool expected = false;
  for (const HeaderField& field : head->headers) {
    if (field.id == HeaderId::kExpect) {
      if (!EqualsIgnoreCase(field.value, "100-continue")) {
        return false;
      }
      expected = true;
    }
  }
  const bool has_body = head->body == BodyKind::kChunked || head->content_length > 0;
  head->expect_continue = expected && has_body && head->minor_version == 1;
  return true;
}

ParseOutcome FillRequest(std::string_view bytes, const HeadCursor& cursor, RequestHead* head) {
  head->method_text = bytes.substr(cursor.first_line, cursor.target_start - 1 - cursor.first_line);
  if (!FindMethod(head->method_text, &head->method)) {
    return RefuseHead(501, "unknown method");
  }
  if (head->method == Method::kConnect || head->method == Method::kTrace) {
    return RefuseHead(405, "method not allowed");
  }
  const std::string_view target =
      bytes.substr(cursor.target_start, cursor.target_end - cursor.target_start);
  head->minor_version =
      bytes[cursor.target_end + std::string_view(" HTTP/1.").size()] == '1' ? 1 : 0;
  const char* reason = "";
  AbsoluteTarget absolute;
  if (!NormaliseTarget(target, head, &absolute, &reason)) {
    return RefuseHead(400, reason);
  }
  FieldFacts facts;
  NoteFields(head->headers, head->minor_version, &facts);
  if (facts.error != nullptr) {
    return RefuseHead(400, facts.error);
  }
  if (!CheckHost(facts, absolute, head, &reason)) {
    return RefuseHead(400, reason);
  }
  head->keep_alive = KeepsAlive(head->minor_version, facts);
  head->te_trailers = facts.te_trailers;
  head->upgrade =
      head->minor_version == 1 && facts.connection_upgrade && facts.upgrade_field && !facts.h2c;
  head->body = facts.chunked      ? BodyKind::kChunked
               : facts.has_length ? BodyKind::kLength
                                  : BodyKind::kNone;
  head->content_length = facts.length;
  if ((head->body != BodyKind::kNone || head->upgrade) &&
      !HttpParserAgrees(bytes, HTTP_REQUEST, facts, &reason)) {
    return RefuseHead(400, reason);
  }
  if (facts.expect != nullptr && !CheckExpect(head)) {
    return RefuseHead(417, "unknown expectation");
  }
  return {ParseVerdict::kComplete, 0, ""};
}

// "200", "200 ", "200 Any text" behind "HTTP/1.x ".
bool ParseStatusLine(std::string_view line, ResponseHead* head) {
  if (line.size() < 3 || (line.size() > 3 && line[3] != ' ')) {
    return false;
  }
  unsigned status = 0;
  for (char c : line.substr(0, 3)) {
    if (!IsChar(c, kCharDigit)) {
      return false;
    }
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  head->status = static_cast<uint16_t>(status);
  head->reason = line.substr(line.size() > 3 ? 4 : 3);
  return status >= 100 && status <= 599;
}

// RFC 9112 section 6.3, for a response to `request`. nullptr, or what is wrong.
const char* DecideBody(const FieldFacts& facts, Method request, ResponseHead* head) {
  const bool informational = head->status < 200;
  if (informational || head->status == 204) {
    // A length of 0 says what is so anyway, and is too common to be refused.
    if (facts.chunked || facts.length != 0) {
      return "a body where the status allows none";
    }
    head->body = BodyKind::kNone;
    return nullptr;
  }
  head->has_content_length = facts.has_length;
  head->content_length = facts.length;
  const bool tunnel = request == Method::kConnect && head->status < 300;
  if (request == Method::kHead || head->status == 304 || tunnel) {
    head->body = BodyKind::kNone;
  } else if (facts.chunked) {
    head->body = BodyKind::kChunked;
  } else if (facts.has_length) {
    head->body = BodyKind::kLength;
  } else {
    head->body = BodyKind::kUntilClose;
    head->keep_alive = false;
  }
  return nullptr;
}

ParseOutcome FillResponse(std::string_view bytes, Method request, ResponseHead* head) {
  constexpr std::string_view kVersion = "HTTP/1.";
  head->minor_version = bytes[kVersion.size()] == '1' ? 1 : 0;
  const std::string_view line = bytes.substr(0, bytes.find('\r'));
  if (!ParseStatusLine(line.substr(kVersion.size() + 2), head)) {
    return RefuseHead(502, "malformed status line");
  }
  FieldFacts facts;
  NoteFields(head->headers, head->minor_version, &facts);
  if (facts.error != nullptr) {
    return RefuseHead(502, facts.error);
  }
  head->keep_alive = head->status != 101 && KeepsAlive(head->minor_version, facts);
  const char* reason = DecideBody(facts, request, head);
  if (reason != nullptr) {
    return RefuseHead(502, reason);
  }
  if ((facts.chunked || head->status == 101) &&
      !HttpParserAgrees(bytes, HTTP_RESPONSE, facts, &reason)) {
    return RefuseHead(502, reason);
  }
  return {ParseVerdict::kComplete, 0, ""};
}

}  // namespace

ParseOutcome ParseRequestHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                              RequestHead* head) {
  head->Clear();
  const ParseOutcome scan = ScanRequestHead(bytes, cursor, limits, &head->headers);
  if (scan.verdict != ParseVerdict::kComplete) {
    return scan;
  }
  head->bytes = cursor.scanned;
  return FillRequest(bytes.substr(0, cursor.scanned), cursor, head);
}

ParseOutcome ParseResponseHead(std::string_view bytes, HeadCursor& cursor,
                               const ParseLimits& limits, Method request, ResponseHead* head) {
  head->Clear();
  ParseOutcome scan = ScanResponseHead(bytes, cursor, limits, &head->headers);
  if (scan.verdict != ParseVerdict::kComplete) {
    scan.status = scan.verdict == ParseVerdict::kBad ? 502 : 0;
    return scan;
  }
  head->bytes = cursor.scanned;
  return FillResponse(bytes.substr(0, cursor.scanned), request, head);
}

}  // namespace ub
