// Two small things of OpenSSL's that WebSocket's handshake needs (RFC 6455 section 4). Pure; any process.
#ifndef UB_EVENT_TLS_DIGEST_H_
#define UB_EVENT_TLS_DIGEST_H_

#include <string>
#include <string_view>

namespace ub {

std::string Base64(std::string_view bytes);

// The value of Sec-WebSocket-Accept that answers this Sec-WebSocket-Key.
std::string WebSocketAccept(std::string_view key);

}  // namespace ub

#endif  // UB_EVENT_TLS_DIGEST_H_
