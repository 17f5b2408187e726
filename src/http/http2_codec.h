// HTTP/2 on the wire (RFC 9113): frames, header compression and flow control of one connection. libnghttp2 does that
// work, and http2_codec.cc alone knows it.
//
// Whoever owns a codec feeds it what came and writes what it makes; the codec tells of streams through Http2Events, whose
// calls only take notes: none may feed the codec or ask it for output. What a message must be (RFC 9113 section 8) is not
// looked at here but by http2_request and http2_response. Worker process and controller, single-threaded.
#ifndef UB_HTTP_HTTP2_CODEC_H_
#define UB_HTTP_HTTP2_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "event/buffer.h"
#include "http/http2_events.h"

struct nghttp2_session;

namespace ub {

class Http2Codec {
 public:
  // The server's side; null without memory. `events` outlives it.
  static std::unique_ptr<Http2Codec> Server(const Http2Settings& settings, Http2Events* events);
  // The client's side, the same. Nothing may be pushed to it.
  static std::unique_ptr<Http2Codec> Client(const Http2Settings& settings, Http2Events* events);
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
  // The same of the stream's window alone: what the connection's counts was consumed as stream 0 before.
  void ConsumeStream(int32_t stream, size_t bytes);

  // Client's side. Begins a stream, with `body` or without, which events know by `stream`: its id, below 0 where this
  // connection can begin none any more.
  int32_t SendRequest(CodecStream* stream, std::span<const Http2Field> fields, bool body);
  // No event tells of the stream any more; it should have been reset.
  void Forget(int32_t stream);
  // How many streams the server allows at once, and whether it takes extended CONNECT (RFC 8441); after OnSettings.
  uint32_t peer_streams() const;
  bool peer_connects() const;

  // Asks the client to begin no more streams, with a PING behind it: OnPingAnswered means that it has read it.
  void AnnounceGoAway();
  // No stream beyond those that have come is served. Those that are under way go on.
  void GoAway();
  // The connection is over, for `error`.
  void Terminate(Http2Error error);

 private:
  friend struct Http2Callbacks;
  Http2Codec(Http2Events* events, bool client) : events_(events), client_(client) {}
  void Count(Http2Cheap kind);
  void Fail(Http2Error error, std::string why);
  // nghttp2 has failed.
  void Break(int error);
  void SayGoodbye(Buffer* out);

  Http2Events* const events_;
  const bool client_;
  nghttp2_session* session_ = nullptr;
  bool in_head_ = false;
  int32_t head_stream_ = 0;     // whose it is, or the last one was
  uint64_t heads_ = 0;
  bool over_ = false;           // what comes is not looked at any more
  bool broken_ = false;         // nghttp2 must not be used any more
  bool said_ = false;           // and the far side was told
  Http2Error goodbye_ = Http2Error::kInternal;  // this
  size_t enough_ = 0;           // of the Produce under way
  Buffer* out_ = nullptr;       // the same
  std::string failure_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_CODEC_H_
