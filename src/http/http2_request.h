// What a request must be that came by HTTP/2 (RFC 9113 section 8), and how it is made into one like any other.
//
// Its fields are checked one by one and written out as the head of an HTTP/1.1 request, which http1_parser then reads: so
// that the same limits and the same refusals hold for both, and nothing can reach a backend that the stricter of two
// readers would not take. Pure; one object a stream, reused. Worker process. Allocates nothing once its text has grown.
#ifndef UB_HTTP_HTTP2_REQUEST_H_
#define UB_HTTP_HTTP2_REQUEST_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "http/http2_message.h"

namespace ub {

class Http2Request {
 public:
  void Clear();
  // One field of the head, in the order in which they came.
  void Add(std::string_view name, std::string_view value, const ParseLimits& limits);
  // There is more of it than is looked at.
  void TooLarge() { too_large_ = true; }
  // The head is whole. `end`: no body follows. kComplete: *head is filled and points into this object. kBad with status 400:
  // the request is malformed (RFC 9113 section 8.1.1).
  ParseOutcome Finish(bool end, const ParseLimits& limits, RequestHead* head);
  // It asks for a WebSocket by extended CONNECT (RFC 8441): it is made into the GET with an Upgrade that HTTP/1.1 has for it,
  // with `key` as its Sec-WebSocket-Key. To be said before Finish.
  bool websocket() const { return (seen_ & kProtocol) != 0; }
  void set_key(std::string_view key) { key_ = key; }
  // What has come of it says that it is gRPC, well formed or not. CONNECT never is: to that a 200 means that the tunnel stands.
  bool grpc() const { return grpc_ && method_ != "CONNECT"; }
  // The first line as a log should have it: "GET / HTTP/2.0".
  std::string FirstLine() const;

 private:
  enum Pseudo : uint8_t { kMethod = 1, kScheme = 2, kAuthority = 4, kPath = 8, kProtocol = 16 };
  void CheckConnect();
  void AddPseudo(std::string_view name, std::string_view value, const ParseLimits& limits);
  bool CheckPseudo();
  void Refuse(uint16_t status, const char* reason);

  ParseOutcome outcome_{ParseVerdict::kComplete, 0, ""};  // the first thing that is wrong
  uint8_t seen_ = 0;             // Pseudo
  bool fields_begun_ = false;    // and a field came that is none
  bool host_seen_ = false, https_ = false, too_large_ = false, lengthed_ = false, grpc_ = false;
  std::string method_, authority_, host_, path_, cookies_, protocol_, key_;
  std::string fields_;  // "name: value\r\n…"
  std::string text_;    // the head as written out
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_REQUEST_H_
