// What a response must be that came by HTTP/2 (RFC 9113 section 8), and how it is made into one like any other.
//
// The counterpart of http2_request: fields are checked one by one and written out as the head of an HTTP/1.1 response, which
// http1_parser then reads. Pure; one object a stream, reused. Worker process and controller. Allocates nothing once its text
// has grown.
#ifndef UB_HTTP_HTTP2_RESPONSE_H_
#define UB_HTTP_HTTP2_RESPONSE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "http/http2_message.h"

namespace ub {

class Http2Response {
 public:
  void Clear();
  // One field of the head, in the order in which they came.
  void Add(std::string_view name, std::string_view value, const ParseLimits& limits);
  // There is more of it than is looked at.
  void TooLarge() { Refuse("response head too large"); }
  // The head is whole. `end`: no body follows. nullptr: text() is a head of HTTP/1.1, whose body, if there may be one and no
  // length was given, is called chunked. Else what is wrong.
  const char* Finish(bool end, Method request);
  // The same for the answer to an extended CONNECT (RFC 8441): 2xx becomes 101, with `accept` as its Sec-WebSocket-Accept.
  const char* FinishConnect(bool end, std::string_view accept);
  // After Finish.
  uint16_t status() const { return status_; }
  const std::string& text() const { return text_; }

 private:
  void AddStatus(std::string_view value);
  void Refuse(const char* reason) { wrong_ = wrong_ == nullptr ? reason : wrong_; }

  const char* wrong_ = nullptr;  // the first thing that is
  uint16_t status_ = 0;          // 0: it has not come
  bool fields_begun_ = false;
  bool lengthed_ = false;
  std::string fields_;  // "name: value\r\n…"
  std::string text_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_RESPONSE_H_
