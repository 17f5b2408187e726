// What holds for the fields of every HTTP/2 message, request or response (RFC 9113 section 8.2).
//
// Pure. Worker process and controller.
#ifndef UB_HTTP_HTTP2_MESSAGE_H_
#define UB_HTTP_HTTP2_MESSAGE_H_

#include <string>
#include <string_view>

#include "http/headers.h"

namespace ub {

// RFC 9113 section 8.2.1, and the characters that HTTP/1.1 could not carry. nullptr, or what is wrong.
const char* CheckHttp2Field(std::string_view name, std::string_view value);

// RFC 9113 section 8.2.2: what speaks of a connection has no place here.
bool IsConnectionSpecific(HeaderId id);

// Clears it, and gives its memory back where that has become large.
void EmptyText(std::string* text);

// The fields behind a body.
class Http2Trailers {
 public:
  void Clear();
  void Add(std::string_view name, std::string_view value);
  // nullptr, or what is wrong.
  const char* error() const { return error_; }
  // "name: value\r\n…" without those that are not passed on (chunked_decoder.h).
  const std::string& text() const { return text_; }

 private:
  const char* error_ = nullptr;
  size_t bytes_ = 0;
  std::string text_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_MESSAGE_H_
