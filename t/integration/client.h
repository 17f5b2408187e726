// A raw HTTP client: what the test writes goes out as it is.
#ifndef UB_INTEGRATION_CLIENT_H_
#define UB_INTEGRATION_CLIENT_H_

#include <string>
#include <string_view>

#include "http_wire.h"
#include "wire.h"

namespace ub::itest {

class Client {
 public:
  explicit Client(const Endpoint& to, int receive_buffer = 0);
  Client(const Client&) = delete;

  bool connected() const { return socket_.valid(); }
  Socket& socket() { return socket_; }
  MessageReader& reader() { return reader_; }

  Io Send(std::string_view bytes) { return socket_.Send(bytes); }
  Response Read(std::string_view method = "GET", const BodySink& sink = {}) {
    return reader_.ReadResponse(method, sink);
  }
  // A whole HTTP/1.1 request and its response; `fields` are lines that end in CRLF.
  Response Get(std::string_view target = "/", std::string_view fields = "");
  Response Ask(std::string_view method, std::string_view target, std::string_view fields = "",
               std::string_view body = "");
  // True where the server ended or reset the connection in time.
  bool ServerClosed(Millis limit = kLimit);
  // True where the server left the connection open and sent nothing unasked.
  bool StillOpen();

 private:
  Socket socket_;
  MessageReader reader_;
};

// "METHOD target HTTP/1.1" with a Host, `fields`, and Content-Length where there is a body or the
// method wants one.
std::string RequestText(std::string_view method, std::string_view target,
                        std::string_view fields = "", std::string_view body = "");

// One request on a connection of its own.
Response FetchOnce(const Endpoint& to, std::string_view target = "/", std::string_view fields = "");

// `body` in chunks of `size`, with the last chunk and `trailers` (lines that end in CRLF).
std::string Chunked(std::string_view body, size_t size, std::string_view trailers = "");

}  // namespace ub::itest

#endif  // UB_INTEGRATION_CLIENT_H_
