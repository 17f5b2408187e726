// The first pass over an HTTP/1 head: byte by byte as it arrives, it finds the blank line and
// refuses whatever no head may hold, at the byte where it shows. Each byte is judged by what came
// before it and nothing else, so the verdict cannot depend on how the bytes were cut. It cuts the
// head into fields on the way.
//
// Used by http1_parser.cc alone, which looks at the meaning of a head once it is whole. Worker
// process. No allocation.
#ifndef UB_HTTP_HEAD_SCANNER_H_
#define UB_HTTP_HEAD_SCANNER_H_

#include <string_view>

#include "http/http1_parser.h"

namespace ub {

// kComplete: the head is the first cursor.scanned bytes, *fields holds its fields and the cursor
// tells where a request's first line and target are. A refused response carries the statuses of a
// request; the caller maps them.
ParseOutcome ScanRequestHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                             HeaderList* fields);
ParseOutcome ScanResponseHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                              HeaderList* fields);

inline ParseOutcome RefuseHead(uint16_t status, const char* reason) {
  return {ParseVerdict::kBad, status, reason};
}

}  // namespace ub

#endif  // UB_HTTP_HEAD_SCANNER_H_
