// Any bytes as a request head: the verdict must not depend on how they are cut, an accepted head
// must keep what its parser promises, and http_parser must read it alike.
#include <http_parser.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/authority.h"
#include "http/http1_parser.h"

namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

bool IsVisible(std::string_view text) {
  for (char c : text) {
    if (c <= 0x20 || c >= 0x7f || c == '#') {
      return false;
    }
  }
  return !text.empty();
}

// What holds of every accepted head, whatever it was made from.
void CheckHead(const ub::RequestHead& head, std::string_view bytes) {
  Require(head.bytes <= bytes.size() && bytes.substr(0, head.bytes).ends_with("\r\n\r\n"));
  Require(ub::IsToken(head.method_text) && IsVisible(head.target));
  Require(head.target.front() == '/' || head.target == "*");
  Require(head.authority.empty() ? head.minor_version == 0 : ub::IsValidAuthority(head.authority));
  Require(head.minor_version <= 1 && !(head.upgrade && head.minor_version == 0));
  Require(head.body != ub::BodyKind::kUntilClose);
  Require(head.content_length == 0 || head.body == ub::BodyKind::kLength);
  int lengths = 0;
  int codings = 0;
  for (const ub::HeaderField& field : head.headers) {
    Require(ub::IsToken(field.name));
    Require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    lengths += field.id == ub::HeaderId::kContentLength;
    codings += field.id == ub::HeaderId::kTransferEncoding;
  }
  Require(lengths == (head.body == ub::BodyKind::kLength ? 1 : 0));
  Require(codings == (head.body == ub::BodyKind::kChunked ? 1 : 0));
}

void CheckAgainstHttpParser(const ub::RequestHead& head, std::string_view bytes) {
  struct Reference {
    uint64_t length = 0;
    bool chunked = false;
    size_t fields = 0;
  } reference;
  http_parser_settings settings{};
  settings.on_header_field = [](http_parser* parser, const char*, size_t) {
    ++static_cast<Reference*>(parser->data)->fields;
    return 0;
  };
  settings.on_headers_complete = [](http_parser* parser) {
    auto* out = static_cast<Reference*>(parser->data);
    out->length = (parser->flags & F_CONTENTLENGTH) != 0 ? parser->content_length : 0;
    out->chunked = (parser->flags & F_CHUNKED) != 0;
    return 1;
  };
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  parser.data = &reference;
  Require(http_parser_execute(&parser, &settings, bytes.data(), head.bytes) == head.bytes);
  Require(HTTP_PARSER_ERRNO(&parser) == HPE_OK);
  Require(reference.length == head.content_length && reference.fields == head.headers.size());
  Require(reference.chunked == (head.body == ub::BodyKind::kChunked));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) {
    return 0;
  }
  // The first byte says how far apart the cuts are.
  const size_t step = 1 + data[0] % 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  ub::ParseLimits limits;
  limits.header_bytes = 2048;
  limits.uri_bytes = 256;
  limits.headers = 12;

  ub::HeadCursor cursor;
  ub::RequestHead head;
  const ub::ParseOutcome whole = ub::ParseRequestHead(bytes, cursor, limits, &head);
  if (whole.verdict == ub::ParseVerdict::kComplete) {
    CheckHead(head, bytes);
    CheckAgainstHttpParser(head, bytes);
  }

  ub::HeadCursor pieces;
  ub::RequestHead cut_head;
  ub::ParseOutcome cut;
  for (size_t end = step; cut.verdict == ub::ParseVerdict::kIncomplete; end += step) {
    // A block of its own for each call, as after a buffer has moved.
    const std::string moved(bytes.substr(0, end));
    cut = ub::ParseRequestHead(moved, pieces, limits, &cut_head);
    if (end >= bytes.size()) {
      break;
    }
  }
  Require(cut.verdict == whole.verdict && cut.status == whole.status);
  Require(std::string_view(cut.reason) == whole.reason);
  if (whole.verdict == ub::ParseVerdict::kComplete) {
    Require(cut_head.bytes == head.bytes && cut_head.body == head.body);
    Require(cut_head.content_length == head.content_length && cut_head.upgrade == head.upgrade);
    Require(cut_head.keep_alive == head.keep_alive);
    Require(cut_head.headers.size() == head.headers.size());
  }
  return 0;
}
