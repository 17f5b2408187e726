// HTTP/1 as the tests read it: a strict reader of its own, so that a proxy's mistake is not excused
// by the proxy's parser. Anything that RFC 9112 does not allow is kMalformed.
#ifndef UB_INTEGRATION_HTTP_WIRE_H_
#define UB_INTEGRATION_HTTP_WIRE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire.h"

namespace ub::itest {

using Fields = std::vector<std::pair<std::string, std::string>>;

enum class ReadResult : uint8_t {
  kOk,
  kClosed,     // the peer ended the connection before the first byte
  kTruncated,  // … in the middle
  kReset,
  kTimeout,
  kMalformed,
};
const char* Name(ReadResult result);

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct HttpMessage {
  std::string start_line;
  std::string raw_head;  // blank line included
  Fields fields;
  std::string body;
  Fields trailers;
  int minor = 1;  // HTTP/1.x
  Framing framing = Framing::kNone;
  uint64_t length = 0;  // what Content-Length says

  std::vector<std::string> Values(std::string_view name) const;  // any case of the name
  std::string Value(std::string_view name) const;  // the first, "" where there is none
  bool Has(std::string_view name) const { return !Values(name).empty(); }
  std::string Trailer(std::string_view name) const;
  // True where the comma-separated values of the field hold `token`.
  bool HasToken(std::string_view name, std::string_view token) const;
};

struct Request : HttpMessage {
  std::string method, target;
};

struct Response : HttpMessage {
  ReadResult result = ReadResult::kClosed;
  int status = 0;
  std::string reason;
  std::vector<Response> interim;  // the 1xx before it
  bool ok() const { return result == ReadResult::kOk; }
  // "200", or how the reading failed: for messages of failed tests.
  std::string Outcome() const;
};

bool SameText(std::string_view a, std::string_view b);  // ASCII, in any case

using BodySink = std::function<void(std::string_view)>;

// Reads messages one after another from one connection.
class MessageReader {
 public:
  explicit MessageReader(Socket* socket) : socket_(socket) {}
  void set_limit(Millis limit) { limit_ = limit; }

  ReadResult ReadRequestHead(Request* request);
  // Reads what the head announced into `sink`, or into message->body without one.
  ReadResult ReadBody(HttpMessage* message, const BodySink& sink = {});
  // One head, be it interim or final; `method` is the one that is answered.
  ReadResult ReadResponseHead(std::string_view method, Response* response);
  // A whole response with the interim ones before it.
  Response ReadResponse(std::string_view method = "GET", const BodySink& sink = {});

  // What was received and not yet used.
  const std::string& buffered() const { return buffer_; }

 private:
  ReadResult Fill();
  ReadResult ReadHeadText(std::string* head);
  ReadResult ReadLine(std::string* line);
  ReadResult ReadExactly(uint64_t bytes, const BodySink& sink);
  ReadResult ReadChunks(HttpMessage* message, const BodySink& sink);

  Socket* socket_;
  Millis limit_ = kLimit;
  std::string buffer_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_HTTP_WIRE_H_
