// HTTP/2 on the wire (RFC 9113): frames, header compression and flow control of one connection. libnghttp2 does that
// work, and http2_codec.cc alone knows it.
//
// Whoever owns a codec feeds it what came and writes what it makes; the codec tells of streams through Http2Events, whose
// calls only take notes: none may feed the codec or ask it for output. What a message must be (RFC 9113 section 8) is not
// looked at here but by http2_request. Worker process, single-threaded.
#ifndef UB_HTTP_HTTP2_CODEC_H_
#define UB_HTTP_HTTP2_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "event/buffer.h"

struct nghttp2_session;

namespace ub {

// RFC 9113 section 7.
enum class Http2Error : uint32_t {
  kNone = 0,
  kProtocol = 1,
  kInternal = 2,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

// Names are lower case.
struct Http2Field {
  std::string_view name, value;
  bool once = false;  // its value does not come again: the peer's table is spared
};

// Frames that cost their sender nearly nothing.
enum class Http2Cheap : uint8_t {
  kReset,         // RST_STREAM, either way
  kPing,
  kSettings,
  kPriority,      // PRIORITY and frames that nobody knows
  kEmpty,         // DATA without a byte and without the stream's end
  kWindowUpdate,
  kContinuation,
  kHeaderList,    // a head that is far too large
  kCount,
};

// What the far side must know and be held to. Fixed once a connection.
struct Http2Settings {
  uint32_t max_concurrent_streams = 128;
  uint32_t initial_window = 65535;
  uint32_t connection_window = 65535;
  uint32_t max_header_list = 65536;
  uint32_t max_continuations = 8;
};

// A stream of the codec's owner: handed back with each event.
class Http2Stream;

class Http2Events {
 public:
  virtual ~Http2Events() = default;
  // A head begins: of a new stream (the answer is what the stream is to be known by; null: it is reset), or trailers.
  virtual Http2Stream* OnStreamBegins(int32_t id) = 0;
  virtual void OnTrailersBegin(Http2Stream* stream) = 0;
  // A field of the head or of the trailers, in order; false: the connection is to be closed.
  virtual bool OnField(Http2Stream* stream, std::string_view name, std::string_view value) = 0;
  virtual void OnHeadEnds(Http2Stream* stream) = 0;
  virtual void OnData(Http2Stream* stream, std::string_view data) = 0;
  virtual void OnStreamEnds(Http2Stream* stream) = 0;
  // The stream is no more: over on both sides, or reset by either. Not told again of.
  virtual void OnStreamClosed(Http2Stream* stream, uint32_t error) = 0;
  // False: it is one too many, the connection is to be closed.
  virtual bool OnCheap(Http2Cheap kind) = 0;
  virtual void OnPingAnswered() = 0;

  // At most `most` bytes of the stream's body may go now; how many there are. 0 and not *end: say so when there are, by
  // ResumeBody. *end: these are the last.
  virtual size_t BodyReady(Http2Stream* stream, size_t most, bool* end) = 0;
  // Appends so many bytes of it.
  virtual void TakeBody(Http2Stream* stream, size_t bytes, Buffer* out) = 0;
  // What follows the body in place of the stream's end: trailers, or an error. Neither: the end.
  virtual std::span<const Http2Field> Trailers(Http2Stream* stream) = 0;
  virtual Http2Error ErrorAtEnd(Http2Stream* stream) = 0;
};

class Http2Codec {
 public:
  // The server's side; null without memory. `events` outlives it.
  static std::unique_ptr<Http2Codec> Server(const Http2Settings& settings, Http2Events* events);
  ~Http2Codec();
  Http2Codec(const Http2Codec&) = delete;
  Http2Codec& operator=(const Http2Codec&) = delete;

  // Takes what came, all of it. False: the connection is over, failure() says why; what there is to send should be sent.
  bool Receive(std::string_view bytes);
  // Appends frames until `out` holds `enough` bytes or there are no more for now.
  void Produce(size_t enough, Buffer* out);
  const std::string& failure() const { return failure_; }
  // The last frame is made: after a GOAWAY, once no stream is left.
  bool done() const;
  // A head has begun and not ended. How many have begun: it is the same one as long as that is the same.
  bool in_head() const { return in_head_; }
  uint64_t heads() const { return heads_; }
  // Frames that are to be sent, as far as they answer what came.
  size_t queued() const;

  // A 1xx head.
  void SendInterim(int32_t stream, std::span<const Http2Field> fields);
  // The head of the response, with `body` or without.
  void SendHead(int32_t stream, std::span<const Http2Field> fields, bool body);
  // The body has more, or its end, where BodyReady said 0.
  void ResumeBody(int32_t stream);
  void Reset(int32_t stream, Http2Error error);
  // So many bytes of a body were taken: the sender may send as many more. Of a stream that is no more: stream 0.
  void Consume(int32_t stream, size_t bytes);

  // Asks the client to begin no more streams, with a PING behind it: OnPingAnswered means that it has read it.
  void AnnounceGoAway();
  // No stream beyond those that have come is served. Those that are under way go on.
  void GoAway();
  // The connection is over, for `error`.
  void Terminate(Http2Error error);

 private:
  friend struct Http2Callbacks;
  explicit Http2Codec(Http2Events* events) : events_(events) {}
  void Count(Http2Cheap kind);
  void Fail(Http2Error error, std::string why);
  void SayGoodbye(Buffer* out);

  Http2Events* const events_;
  nghttp2_session* session_ = nullptr;
  bool in_head_ = false;
  uint64_t heads_ = 0;
  bool over_ = false;           // what comes is not looked at any more
  bool broken_ = false;         // nghttp2 must not be used any more
  bool said_ = false;           // and the far side was told
  size_t enough_ = 0;           // of the Produce under way
  Buffer* out_ = nullptr;       // the same
  std::string failure_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_CODEC_H_
