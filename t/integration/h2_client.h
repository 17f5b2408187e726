// HTTP/2 as a client speaks it, frame by frame: whatever a test writes goes out as it is, well formed or not. Only header
// compression is nghttp2's. Blocking, one thread.
#ifndef UB_INTEGRATION_H2_CLIENT_H_
#define UB_INTEGRATION_H2_CLIENT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http_wire.h"
#include "wire.h"

typedef struct nghttp2_hd_deflater nghttp2_hd_deflater;
typedef struct nghttp2_hd_inflater nghttp2_hd_inflater;

namespace ub::itest {

namespace h2 {
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum Flag : uint8_t { kNone = 0, kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8 };
enum Error : uint32_t { kNoError = 0, kProtocolError = 1, kInternalError = 2, kRefusedStream = 7, kCancel = 8, kCalm = 11 };

// A frame's bytes.
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
std::string Number32(uint32_t value);
// "GET" or another method for `path`, and more fields.
Fields Request(std::string_view path, std::string_view method = "GET", const Fields& more = {});
}  // namespace h2

struct H2Response {
  int status = 0;  // 0: none yet
  Fields fields, trailers;
  std::vector<int> interim;
  std::string body;
  bool ended = false;                 // by END_STREAM
  std::optional<uint32_t> reset;      // by RST_STREAM, with this error
  bool over() const { return ended || reset.has_value(); }
  std::string Value(std::string_view name) const;
  // "200", "200 reset 1", "nothing": for comparisons and messages.
  std::string Outcome() const;
};

class H2Client {
 public:
  struct Options {
    uint32_t window = 1 << 20;             // for the body of each response
    uint32_t connection_window = 1 << 24;  // for all of them
    bool open_windows = true;              // and open them again as bodies come
    bool start = true;                     // send preface and SETTINGS at once
    int receive_buffer = 0;
  };
  explicit H2Client(const Endpoint& to) : H2Client(to, Options{}) {}
  H2Client(const Endpoint& to, Options options);
  // The other side of a connection: a backend's, which takes preface and requests. `settings`: a payload of SETTINGS.
  H2Client(Socket socket, std::string_view settings);
  ~H2Client();
  H2Client(const H2Client&) = delete;

  bool connected() const { return socket_.valid(); }
  Socket& socket() { return socket_; }

  bool Send(std::string_view bytes) { return socket_.Send(bytes) == Io::kOk; }
  bool SendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload = {}) {
    return Send(h2::Frame(type, flags, stream, payload));
  }
  // A header block, by the table of this connection: to be sent, for the table counts on it.
  std::string Block(const Fields& fields);
  // A request on the next stream; its id.
  uint32_t Begin(const Fields& fields, bool end = true);
  uint32_t next_stream() const { return next_; }
  // What the windows allow now; the number of bytes.
  size_t SendSome(uint32_t stream, std::string_view body);
  // The whole body, as fast as the windows allow; false where the stream or the connection ended before.
  bool SendBody(uint32_t stream, std::string_view body, bool end = true);
  void Trailers(uint32_t stream, const Fields& fields);
  void Reset(uint32_t stream, uint32_t error = h2::kCancel);

  // Takes one frame; false where the connection has ended or none came in time.
  bool ReadFrame(Millis limit = kLimit);
  // Takes frames until the stream is over or the connection is.
  const H2Response& Wait(uint32_t stream, Millis limit = kLimit);
  const H2Response& Get(std::string_view path = "/") { return Wait(Begin(h2::Request(path))); }
  const H2Response& At(uint32_t stream) { return streams_[stream]; }
  // Takes frames until the server closes the connection; false where it does not in time.
  bool ServerClosed(Millis limit = kLimit);
  // A PING there and back: what was sent before has been looked at. False where the connection ended.
  bool RoundTrip();

  // A backend's. The stream of the next request whose head has come; 0 where the connection ended or none came in time.
  uint32_t NextRequest(Millis limit = kLimit);
  // Reads on until the request is whole.
  const H2Response& Whole(uint32_t stream) { return Wait(stream); }
  // A head; `end`: nothing follows it.
  void Head(uint32_t stream, const Fields& fields, bool end = false);
  // ":status" and a body.
  void Reply(uint32_t stream, int status, std::string_view body = "", const Fields& more = {}, const Fields& trailers = {});

  // From here on bodies that come open no windows.
  void KeepWindows() { options_.open_windows = false; }

  bool closed() const { return closed_; }
  std::optional<uint32_t> goaway() const { return goaway_; }  // the error of the last GOAWAY
  uint32_t last_stream() const { return last_stream_; }       // and its stream
  // Whether there had been one when the server's first PING came; nothing: none came.
  std::optional<bool> goaway_before_ping() const { return goaway_before_ping_; }
  uint32_t setting(uint16_t id) const;                        // the server's; 0: not sent
  uint64_t window_updates() const { return window_updates_; }

 private:
  void Take(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  void TakeHeaders(uint32_t stream, bool end, std::string_view block);
  void TakeSettings(std::string_view payload);
  void TakeData(uint32_t stream, bool end, std::string_view data);

  Options options_;
  Socket socket_;
  bool backend_ = false;
  size_t preface_left_ = 0;
  std::vector<uint32_t> arrived_;  // requests that NextRequest has not told of
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  uint32_t next_ = 1;
  std::string buffer_, block_;
  bool block_end_ = false;
  bool closed_ = false;
  uint64_t pongs_ = 0, window_updates_ = 0;
  std::optional<uint32_t> goaway_;
  std::optional<bool> goaway_before_ping_;
  uint32_t last_stream_ = 0;
  std::map<uint16_t, uint32_t> settings_;
  std::map<uint32_t, H2Response> streams_;
  int64_t window_ = 65535;                 // for our bodies
  int64_t initial_ = 65535;
  std::map<uint32_t, int64_t> windows_;    // of the streams
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_H2_CLIENT_H_
