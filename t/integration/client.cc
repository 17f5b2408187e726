#include "client.h"

#include <fmt/format.h>

namespace ub::itest {

Client::Client(const Endpoint& to, int receive_buffer)
    : socket_(Socket::Connect(to, kLimit, receive_buffer)), reader_(&socket_) {}

std::string RequestText(std::string_view method, std::string_view target, std::string_view fields,
                        std::string_view body) {
  std::string text =
      fmt::format("{} {} HTTP/1.1\r\nHost: test.example\r\n{}", method, target, fields);
  if (!body.empty() || method == "POST" || method == "PUT") {
    text += fmt::format("Content-Length: {}\r\n", body.size());
  }
  text += "\r\n";
  text += body;
  return text;
}

Response Client::Get(std::string_view target, std::string_view fields) {
  return Ask("GET", target, fields);
}

Response Client::Ask(std::string_view method, std::string_view target, std::string_view fields,
                     std::string_view body) {
  Send(RequestText(method, target, fields, body));
  return Read(method);
}

bool Client::ServerClosed(Millis limit) {
  const Io end = socket_.WaitClosed(limit);
  return end == Io::kEnd || end == Io::kReset;
}

bool Client::StillOpen() {
  return socket_.valid() && reader_.buffered().empty() && !socket_.Readable();
}

Response FetchOnce(const Endpoint& to, std::string_view target, std::string_view fields) {
  Client client(to);
  if (!client.connected()) return Response();
  return client.Get(target, fields);
}

std::string Chunked(std::string_view body, size_t size, std::string_view trailers) {
  std::string out;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, size);
    out += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    body.remove_prefix(piece.size());
  }
  return out + "0\r\n" + std::string(trailers) + "\r\n";
}

}  // namespace ub::itest
