// What a request is told apart by: `hash_key` of ip-hash and `rate_limit.key`, both written client_ip, header:NAME,
// cookie:NAME or uri.
//
// Made from the configuration once a reload; a worker asks it once a request. No allocation.
#ifndef UB_HTTP_REQUEST_KEY_H_
#define UB_HTTP_REQUEST_KEY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "event/address.h"
#include "http/message.h"

namespace ub {

class RequestKey {
 public:
  RequestKey() = default;  // client_ip
  // `text` is one that config_bind has accepted.
  explicit RequestKey(std::string_view text);

  // The key's bytes, a slice of the request or of `client`; for a header or cookie that the request lacks the client's
  // address, so that such clients are still told apart.
  std::string_view Of(const RequestHead& head, const PeerAddress& client) const;
  // Of(), hashed: the same in every process and run.
  uint64_t Hash(const RequestHead& head, const PeerAddress& client) const;
  bool is_client_ip() const { return kind_ == Kind::kClientIp; }

 private:
  enum class Kind : uint8_t { kClientIp, kHeader, kCookie, kUri };
  Kind kind_ = Kind::kClientIp;
  std::string name_;
};

// The value of a cookie (RFC 6265 section 4.2.1), looked for in every Cookie field; empty where there is none.
std::string_view FindCookie(const HeaderList& headers, std::string_view name);

}  // namespace ub

#endif  // UB_HTTP_REQUEST_KEY_H_
