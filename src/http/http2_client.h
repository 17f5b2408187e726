// A connection to a backend by HTTP/2: many requests at once, each a stream (http2_attempt.h).
//
// Bytes go to the codec, which notes what they mean at the streams; then the streams work; at the end of the turn whatever
// all of them have to send leaves together. No stream begins before the backend's SETTINGS have come: who does not speak
// HTTP/2 is found out while nothing was asked of him. Owned by Http2Clients; worker process, single-threaded.
#ifndef UB_HTTP_HTTP2_CLIENT_H_
#define UB_HTTP_HTTP2_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "event/connection.h"
#include "http/http2_attempt.h"
#include "http/http2_codec.h"
#include "http/http2_watch.h"

namespace ub {

class Http2Clients;

class Http2Client final : public ConnectionHandler, private Http2Events {
 public:
  // `owner` outlives it.
  Http2Client(Http2Clients* owner, uint32_t slot, uint32_t generation);
  ~Http2Client() override;

  // Begins to connect to where `request` is to go. Not ok: no connection can be made, and the object is of no use.
  Status Connect(const UpstreamAttempt::Request& request);
  // May requests for that tenant of the slot use it, now or when it stands?
  bool usable(uint32_t generation) const {
    return state_ != State::kClosed && !leaving_ && generation_ == generation;
  }
  uint32_t generation() const { return generation_; }
  bool standing() const { return state_ == State::kOpen; }
  bool idle() const { return idle_; }
  // Streams that may begin now, and that are under way.
  size_t room() const;
  size_t streams() const { return streams_.size(); }

  // Begins a stream with the attempt's request. False: this connection takes no more.
  bool Open(Http2Attempt* attempt);
  // The attempt is over: a stream that is not is reset.
  void Drop(Http2Attempt* attempt);
  // No new streams; it is closed when the last one has ended.
  void Leave();
  // A request that began at `since_ns` got no answer in time: where nothing at all has come since, it is not used again.
  void Doubt(uint64_t since_ns);

  // The attempt's: its body has more, or its end; so many bytes of the response's were taken; is to be told when it may send.
  void BodyCame(Http2Attempt* attempt, size_t bytes);
  void BodyTaken(Http2Attempt* attempt, size_t bytes);
  void Await(Http2Attempt* attempt);
  bool congested() const;
  uint32_t sent_bytes() const;

  // ConnectionHandler
  void OnConnected(int error) override;
  void OnReadable() override;
  void OnWritable() override { EndTurn(); }
  void OnDeadline() override;

 private:
  enum class State : uint8_t {
    kConnecting,
    kSettling,  // the backend's SETTINGS are waited for
    kOpen,
    kClosed,
  };

  // Http2Events (http2_client_events.cc)
  void OnHeadBegins(CodecStream* at) override;
  bool OnField(CodecStream* at, std::string_view name, std::string_view value) override;
  void OnHeadEnds(CodecStream* at) override;
  void OnData(CodecStream* at, std::string_view data) override;
  void OnStreamEnds(CodecStream* at) override;
  void OnStreamClosed(CodecStream* at, uint32_t error) override;
  bool OnCheap(Http2Cheap kind) override;
  void OnSettings() override { settled_ = true; }
  void OnGoAway() override { leaving_ = told_to_leave_ = true; }
  size_t BodyReady(CodecStream* at, size_t most, bool* end) override;
  void TakeBody(CodecStream* at, size_t bytes, Buffer* out) override;
  std::span<const Http2Field> Trailers(CodecStream* at) override;
  Http2Error ErrorAtEnd(CodecStream*) override { return Http2Error::kNone; }

  static void OnTurnEnd(void* self);
  void Begin();
  bool ReadOnce();
  void Take(std::string_view bytes);
  void Take(Http2Attempt* attempt);
  // Why the backend cannot be asked this by HTTP/2; null: it can.
  const char* WhyNot(const UpstreamAttempt::Request& request) const;
  void Mark(Http2Attempt* attempt);
  void FlushSoon();
  void Work();
  void Flush();
  void Wake();
  void EndTurn();
  void Update();
  void SetIdle(bool idle);
  void Close();
  // The connection is lost, for all its streams.
  void Die(TryFailure failure, StatusCode code, std::string why);
  ParseLimits Limits() const;
  const Config& config() const;

  Http2Clients* const owner_;
  const uint32_t slot_, generation_;
  State state_ = State::kConnecting;
  bool secure_ = false;
  bool settled_ = false;   // the backend's SETTINGS have come
  bool leaving_ = false;   // no stream begins any more
  bool told_to_leave_ = false;  // by the backend
  bool working_ = false;   // Work() is on the stack
  bool told_ = false;      // a line was logged of what this backend does
  bool idle_ = false;      // stands in the gauge of idle connections
  bool begun_ = false;     // something has come
  uint32_t requests_ = 0;
  uint64_t heard_ns_ = 0;  // when something last came
  uint64_t buffered_ = 0;  // bytes of requests' bodies that are not sent
  std::string address_;    // for the log
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Http2Codec> codec_;
  Http2Watch watch_;
  Task turn_end_;
  std::vector<Http2Attempt*> streams_;
  std::vector<Http2Attempt*> work_, waiting_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_CLIENT_H_
