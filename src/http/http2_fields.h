// The fields of a response head or of trailers as HTTP/2 has them: names in lower case, nothing that speaks of a connection
// (RFC 9113 section 8.2).
//
// Memory that is used again from head to head; what is put in must stay until the fields were used. Worker process; no
// allocation once it has grown.
#ifndef UB_HTTP_HTTP2_FIELDS_H_
#define UB_HTTP_HTTP2_FIELDS_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/http2_codec.h"
#include "http/message.h"

namespace ub {

// The value of the first line of that name in a head of HTTP/1.1, as WriteForwardedRequest writes it; empty: there is none.
std::string_view LineValue(std::string_view head, std::string_view name);

class Http2Fields {
 public:
  void Clear();
  // ":status"; first of all.
  void Status(uint16_t status);
  void Add(std::string_view name, std::string_view value, bool once = false);
  void Number(std::string_view name, uint64_t value);
  // "Name: value\r\n…"; ends at an empty line.
  void AddLines(std::string_view lines);
  // What WriteForwardedResponse (forward_headers.h) writes, for the same arguments. `head` loses its hop-by-hop fields.
  void AddResponse(ResponseHead* head, std::string_view request_id, bool via, std::string_view hsts);

  // The head of a request, as WriteForwardedRequest writes it: what comes first is its line and Host. `secure`: it goes by TLS.
  // `connect`: it is a WebSocket's, and becomes an extended CONNECT (RFC 8441).
  void AddRequest(std::string_view head, bool secure, bool te_trailers, bool connect = false);

  // Valid until the next change.
  std::span<const Http2Field> fields();

 private:
  struct Entry {
    size_t name_at, name_size;
    std::string_view value;
    bool once;
  };

  std::vector<Entry> entries_;
  std::vector<Http2Field> fields_;
  std::string names_;
  std::array<char, 3> status_;
  std::array<char, 20> number_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_FIELDS_H_
