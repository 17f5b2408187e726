// What the header fields of a message say about where it ends and what becomes of the connection,
// read the same way for requests and responses (RFC 9112 sections 6 and 9.3).
//
// Called by http1_parser.cc once for each head. Worker process. No allocation.
#ifndef UB_HTTP_FRAMING_H_
#define UB_HTTP_FRAMING_H_

#include <cstdint>

#include "http/headers.h"

namespace ub {

// Pointers are into the list that was read.
struct FieldFacts {
  const HeaderField* host = nullptr;
  const HeaderField* expect = nullptr;
  bool has_length = false;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  bool connection_upgrade = false;
  bool upgrade_field = false;
  bool h2c = false;
  bool te_trailers = false;
  uint64_t length = 0;
  const char* error = nullptr;  // the first thing that is wrong

  void Refuse(const char* reason) { error = error == nullptr ? reason : error; }
};

// Reads the fields of one head into *facts, which is fresh.
void NoteFields(const HeaderList& headers, int minor_version, FieldFacts* facts);

// RFC 9112 section 9.3: may the connection be used again, as far as the fields say.
bool KeepsAlive(int minor_version, const FieldFacts& facts);

}  // namespace ub

#endif  // UB_HTTP_FRAMING_H_
