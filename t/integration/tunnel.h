// A connection that has switched protocols, as either end sees it: bytes, and how they ended.
#ifndef UB_INTEGRATION_TUNNEL_H_
#define UB_INTEGRATION_TUNNEL_H_

#include <functional>
#include <string>
#include <string_view>

#include "client.h"
#include "fake_backend.h"

namespace ub::itest {

// One end: the socket, and what was read of it and not yet used.
class TunnelEnd {
 public:
  TunnelEnd(Socket* socket, std::string early) : socket_(socket), buffer_(std::move(early)) {}
  Io Send(std::string_view bytes) { return socket_->Send(bytes); }
  // The next `count` bytes; fewer where the tunnel ended before (or the deadline passed).
  std::string Read(size_t count);
  // Waits for the end, which must come without a further byte.
  Io End();
  Socket& socket() { return *socket_; }

 private:
  Socket* socket_;
  std::string buffer_;
};

// A client that asks for an upgrade. `fields` stand for Connection, Upgrade and the rest.
inline constexpr std::string_view kWebSocketFields =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

class TunnelClient {
 public:
  explicit TunnelClient(const Endpoint& to, std::string_view early = "",
                        std::string_view fields = kWebSocketFields, int receive_buffer = 0);
  const Response& response() const { return response_; }
  bool open() const { return response_.ok() && response_.status == 101; }
  TunnelEnd& end() { return end_; }
  Client& client() { return client_; }

 private:
  Client client_;
  Response response_;
  TunnelEnd end_;
};

// A backend that answers each first request of a connection with `answer`, as it is, and gives what follows to `use`.
FakeBackend::Options SwitchingBackend(std::function<void(TunnelEnd&, const Request&)> use,
                                      std::string answer = "");
// Sends back what comes until it ends, then ends.
void Echo(TunnelEnd& end);

}  // namespace ub::itest

#endif  // UB_INTEGRATION_TUNNEL_H_
