// A request head and a response head, parsed and checked: what the proxy knows of a message before
// its body.
//
// All slices point into the parsed buffer (see headers.h for how long). Worker process.
#ifndef UB_HTTP_MESSAGE_H_
#define UB_HTTP_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "http/headers.h"

namespace ub {

enum class Method : uint8_t {
  kOther,
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kPatch,
  kConnect,
  kTrace
};

// How the body that follows is delimited (RFC 9112 section 6).
enum class BodyKind : uint8_t { kNone, kLength, kChunked, kUntilClose };

// Stands for HTTP/2.0 where the minor version of HTTP/1 does.
inline constexpr uint8_t kHttp2Version = 20;

struct RequestHead {
  Method method = Method::kOther;
  std::string_view method_text;
  std::string_view
      target;  // what is sent on: origin form ("/a?b") or "*"; absolute form is already cut down
  std::string_view
      authority;  // Host's value, or that of an absolute target; empty in HTTP/1.0 without Host
  uint8_t minor_version = 1;  // HTTP/1.x, or kHttp2Version
  bool keep_alive = true;     // may another request follow on this connection
  bool expect_continue = false;
  bool upgrade = false;  // Connection: upgrade and an Upgrade field
  bool te_trailers = false;  // TE says that trailers are welcome
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;  // with kLength
  HeaderList headers;
  size_t bytes = 0;  // of the head, blank line included
  // Holds `target` where it is no slice of the head: "http://h?q" is sent on as "/?q". Else empty.
  std::vector<char> own_target;

  void Clear();
  // RFC 9110 section 9.2.2.
  bool idempotent() const;
};

struct ResponseHead {
  uint16_t status = 0;
  std::string_view reason;
  uint8_t minor_version = 1;
  bool keep_alive = true;  // may the connection carry another request after this response
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;  // with kLength; with kNone after HEAD or in 304 what the field said
  bool has_content_length = false;
  HeaderList headers;
  size_t bytes = 0;

  void Clear();
};

}  // namespace ub

#endif  // UB_HTTP_MESSAGE_H_
