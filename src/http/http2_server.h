// A client's HTTP/2 connection: many streams at once, each with a session of its own.
//
// Takes the connection over from an Http1Server, which has seen who the client is and what it speaks. Bytes go to the
// codec, which notes what they mean at the streams; then the streams work; at the end of the turn whatever all of them
// have to send leaves together. Owned by its worker's list; leaves it by itself.
#ifndef UB_HTTP_HTTP2_SERVER_H_
#define UB_HTTP_HTTP2_SERVER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/client_connection.h"
#include "http/http2_codec.h"
#include "http/http2_fields.h"
#include "http/http2_stream.h"
#include "http/http2_watch.h"
#include "http/worker_context.h"

namespace ub {

class Http2Server final : public ClientConnection, private Http2Events {
 public:
  Http2Server(WorkerContext* context, ClientParts&& parts);
  ~Http2Server() override;
  // Takes what has come of it. May be over before it returns.
  void Start(std::string_view bytes);

  void Abort() override;
  void Drain() override;

  // ConnectionHandler
  void OnConnected(int) override {}
  void OnReadable() override;
  void OnWritable() override;
  void OnDeadline() override;

 private:
  friend class Http2Stream;
  enum class State : uint8_t {
    kOpen,
    kLingering,  // all is sent; what the client still sends is read and dropped
    kClosed,
  };
  enum class Leaving : uint8_t { kNo, kAnnounced, kFinal };
  // What the connection's deadline is for.
  enum class Watched : uint8_t { kNothing, kIdle, kHead, kReader, kLeaving };

  // Http2Events (http2_server_events.cc)
  CodecStream* OnStreamBegins(int32_t id) override;
  void OnHeadBegins(CodecStream* at) override;
  bool OnField(CodecStream* at, std::string_view name, std::string_view value) override;
  void OnHeadEnds(CodecStream* at) override;
  void OnData(CodecStream* at, std::string_view data) override;
  void OnStreamEnds(CodecStream* at) override;
  void OnStreamClosed(CodecStream* at, uint32_t error) override;
  bool OnCheap(Http2Cheap kind) override;
  void OnPingAnswered() override;
  bool KeepsReading(CodecStream* at) override;
  size_t BodyReady(CodecStream* at, size_t most, bool* end) override;
  void TakeBody(CodecStream* at, size_t bytes, Buffer* out) override;
  std::span<const Http2Field> Trailers(CodecStream* at) override;
  Http2Error ErrorAtEnd(CodecStream* at) override;

  static void OnTurnEnd(void* self);
  // One read; true where another may give more.
  bool ReadOnce();
  void Take(std::string_view bytes);
  // Has Work() called for the stream, and the end of the turn.
  void Mark(Http2Stream* stream);
  void FlushSoon();
  void Work();
  // False: the connection is over.
  bool Flush();
  void Wake();
  void EndTurn();
  void Release(Http2Stream* stream);
  void FailAll(const Status& status);
  void CloseGracefully();
  void Close();
  void Update();
  void Watch(Watched what, uint64_t deadline_ns);
  bool Overfull() const;
  ParseLimits Limits() const;
  const Config& config() const { return *context_->config; }

  WorkerContext* const context_;
  std::unique_ptr<Connection> connection_;
  ClientInfo client_;
  uint64_t client_key_;
  State state_ = State::kOpen;
  Leaving leaving_ = Leaving::kNo;
  Watched watched_ = Watched::kNothing;
  bool working_ = false;   // Work() is on the stack
  bool told_ = false;      // a line was logged of what this client does
  uint32_t requests_ = 0;
  uint32_t bodies_ = 0;    // streams whose clients have not sent all
  uint64_t held_ = 0;      // bytes of requests' bodies that no session has taken
  uint64_t buffered_ = 0;  // bytes of responses' bodies that are not sent
  uint32_t progress_ = 0;  // sent bytes when the deadline was last looked at
  uint64_t head_ = 0;      // the head that is waited for (Http2Codec::heads)
  std::unique_ptr<Http2Codec> codec_;
  Http2Watch watch_;
  Http2Fields fields_;
  Task turn_end_;
  std::vector<std::unique_ptr<Http2Stream>> streams_;
  std::vector<Http2Stream*> work_, waiting_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_SERVER_H_
