#include "tunnel.h"

namespace ub::itest {

namespace {

constexpr std::string_view kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

}  // namespace

std::string TunnelEnd::Read(size_t count) {
  while (buffer_.size() < count && socket_->Receive(&buffer_) == Io::kOk) {
  }
  std::string out = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return out;
}

Io TunnelEnd::End() {
  const Io how = buffer_.empty() ? socket_->Receive(&buffer_) : Io::kOk;
  return how;
}

TunnelClient::TunnelClient(const Endpoint& to, std::string_view early, std::string_view fields,
                           int receive_buffer)
    : client_(to, receive_buffer), end_(&client_.socket(), "") {
  client_.Send(RequestText("GET", "/tunnel", fields) + std::string(early));
  response_.result = client_.reader().ReadResponseHead("GET", &response_);
  end_ = TunnelEnd(&client_.socket(), client_.reader().buffered());
}

FakeBackend::Options SwitchingBackend(std::function<void(TunnelEnd&, const Request&)> use,
                                      std::string answer) {
  FakeBackend::Options options;
  if (answer.empty()) answer = kSwitching;
  options.connection = [use = std::move(use), answer](Socket& socket) {
    MessageReader reader(&socket);
    Request request;
    if (reader.ReadRequestHead(&request) != ReadResult::kOk) return;
    socket.Send(answer);
    TunnelEnd end(&socket, reader.buffered());
    use(end, request);
  };
  return options;
}

void Echo(TunnelEnd& end) {
  for (std::string piece = end.Read(1); !piece.empty(); piece = end.Read(1)) {
    if (end.Send(piece) != Io::kOk) return;
  }
}

}  // namespace ub::itest
