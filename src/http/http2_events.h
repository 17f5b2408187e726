// What an HTTP/2 codec and its owner tell each other (http2_codec.h): events, settings, fields.
//
// Worker process and controller, single-threaded.
#ifndef UB_HTTP_HTTP2_EVENTS_H_
#define UB_HTTP_HTTP2_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "event/buffer.h"

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
  kPriority,
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
  bool connect_protocol = false;  // server's side: extended CONNECT is taken (RFC 8441)
};

// What a stream is to its codec, which hands it back with each event: the owner's own class is derived from it.
class CodecStream {};

class Http2Events {
 public:
  virtual ~Http2Events() = default;
  // A client begins a stream, with a head: the answer is what it is to be known by. Server's side only.
  virtual CodecStream* OnStreamBegins(int32_t /*id*/) { return nullptr; }
  // A further head of a stream begins: trailers; on the client's side the response's, interim or final, too.
  virtual void OnHeadBegins(CodecStream* stream) = 0;
  // A field of the head or of the trailers, in order; false: the connection is to be closed.
  virtual bool OnField(CodecStream* stream, std::string_view name, std::string_view value) = 0;
  virtual void OnHeadEnds(CodecStream* stream) = 0;
  virtual void OnData(CodecStream* stream, std::string_view data) = 0;
  virtual void OnStreamEnds(CodecStream* stream) = 0;
  // The stream is no more: over on both sides, or reset by either. Not told again of.
  virtual void OnStreamClosed(CodecStream* stream, uint32_t error) = 0;
  // False: it is one too many, the connection is to be closed.
  virtual bool OnCheap(Http2Cheap kind) = 0;
  // The response has ended, and what the client still sends is wanted all the same: a tunnel.
  virtual bool KeepsReading(CodecStream* /*stream*/) { return false; }
  virtual void OnPingAnswered() {}
  // The far side has said what it allows (peer_streams, peer_connects), or changed it.
  virtual void OnSettings() {}
  // The far side takes no new streams; those that it will not look at are told of by OnStreamClosed, with kRefusedStream.
  virtual void OnGoAway() {}

  // At most `most` bytes of the stream's body may go now; how many there are. 0 and not *end: say so when there are, by
  // ResumeBody. *end: these are the last.
  virtual size_t BodyReady(CodecStream* stream, size_t most, bool* end) = 0;
  // Appends so many bytes of it.
  virtual void TakeBody(CodecStream* stream, size_t bytes, Buffer* out) = 0;
  // What follows the body in place of the stream's end: trailers, or an error. Neither: the end.
  virtual std::span<const Http2Field> Trailers(CodecStream* stream) = 0;
  virtual Http2Error ErrorAtEnd(CodecStream* stream) = 0;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_EVENTS_H_
