// Strict HTTP/1 heads (RFC 9110, RFC 9112): what two readers could frame differently is refused
// before a byte of it is forwarded. Debian's http_parser is compiled non-strict and costs more than
// all checks here together; it is the second reader, asked wherever a body or a tunnel follows, and
// a head on which it disagrees is refused. The only code that knows http_parser is http1_parser.cc.
//
// The caller keeps the bytes of a head together until it is complete; a HeadCursor remembers how
// far they were looked at, so that a head that trickles in costs O(bytes) in all. The verdict does
// not depend on how the bytes were cut. Worker process. Allocates nothing once the HeaderLists have
// grown; 0.2 µs for a short head.
#ifndef UB_HTTP_HTTP1_PARSER_H_
#define UB_HTTP_HTTP1_PARSER_H_

#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace ub {

struct ParseLimits {
  uint64_t header_bytes = uint64_t{32} * 1024;  // whole head
  uint32_t headers = 100;
  uint64_t uri_bytes = uint64_t{8} * 1024;
};

// Progress within one head; value-initialise for each new head. Only `scanned` means something to a
// caller.
struct HeadCursor {
  uint32_t scanned = 0;       // bytes looked at
  uint32_t lines = 0;         // lines completed, the first line included
  uint32_t first_line = 0;    // offset of the first line, after skipped empty ones
  uint32_t target_start = 0;  // request: offsets of the target
  uint32_t target_end = 0;
  uint8_t state = 0;        // what the next byte belongs to (head_scanner.cc)
  uint8_t empty_lines = 0;  // skipped before a request line
};

enum class ParseVerdict : uint8_t { kIncomplete, kComplete, kBad };

struct ParseOutcome {
  ParseVerdict verdict = ParseVerdict::kIncomplete;
  uint16_t status =
      0;  // kBad: what a client is told: 400, 405, 414, 417, 431, 501, 505; 502 for a response
  const char* reason = "";  // kBad: one short sentence, a literal, for the log and the error page
};

// `bytes` begins with the head (an empty line or two before a request are skipped, RFC 9112
// section 2.2; `head->bytes` then counts them). On kComplete `head` is filled and points into
// `bytes`.
ParseOutcome ParseRequestHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                              RequestHead* head);

// `request` is the method that is answered: HEAD has no body, CONNECT neither. 1xx heads are
// returned like others, with BodyKind::kNone. status 101 has BodyKind::kNone; what follows is the
// tunnel's.
ParseOutcome ParseResponseHead(std::string_view bytes, HeadCursor& cursor,
                               const ParseLimits& limits, Method request, ResponseHead* head);

}  // namespace ub

#endif  // UB_HTTP_HTTP1_PARSER_H_
