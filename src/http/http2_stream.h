// One request on an HTTP/2 connection: the client that a session talks to.
//
// What the codec tells of a stream is only noted; Work(), when the codec is not at work, hands it on to the session. So
// neither is ever called from within the other. Bodies wait here, bounded by the window that we gave (requests) and by
// congested() (responses). Taken from a pool by the connection; worker process; no allocation of its own in
// steady state.
#ifndef UB_HTTP_HTTP2_STREAM_H_
#define UB_HTTP_HTTP2_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/object_pool.h"
#include "event/buffer.h"
#include "event/timer.h"
#include "http/http2_codec.h"
#include "http/http2_outgoing.h"
#include "http/http2_request.h"
#include "http/rate_watch.h"
#include "http/stream.h"

namespace ub {

class Http2Server;
struct WorkerContext;

class Http2Stream final : public ServerStream, public CodecStream {
 public:
  explicit Http2Stream(WorkerContext* context);

  // A new stream of `server`.
  void Open(Http2Server* server, int32_t id);
  // Nothing is left of it.
  void Clear();
  // Hands on what was noted.
  void Work();
  // Over on both sides, and no session is at work for it. As long as the codec knows it, it is not.
  bool released() const { return closed_ && handler_ == nullptr; }
  // The connection is lost.
  void Fail(const Status& status);
  // May the session send more now? (congested() asks, and has it called back.)
  bool blocked() const;

  // ServerStream
  const ClientInfo& client() const override;
  std::string LocalHost() const override { return "localhost"; }  // not asked: every request here names its host
  void SendInterim(ResponseHead* head) override;
  void SendHead(ResponseHead* head, std::string_view request_id, std::string_view data, bool end) override;
  void SendBody(std::string_view data, bool end, std::string_view trailers) override;
  bool TakesSwitch(const ResponseHead& head) const override;
  void SwitchProtocols(ResponseHead* head, std::string_view request_id, std::string_view data) override;
  size_t SendError(ErrorPage page) override;
  bool congested() const override;
  void ResumeBody() override;
  void Finish(bool complete) override;

 private:
  friend class Http2Server;
  static constexpr uint64_t kNoLength = UINT64_MAX;
  static void OnTimer(void* self);
  static void OnGrpcTimer(void* self);

  void StartExchange();
  void Refuse(uint16_t status, const char* reason);
  void Begin(RequestHead* head, std::string_view body, bool end);
  // A request that is gRPC is answered so, and may say how long it waits.
  void WatchGrpc(const RequestHead& head);
  size_t SendGrpcError(const ErrorPage& page);
  void Deliver();
  // Whether what has come of the body, and its end, fit what was announced. nullptr, or what is wrong.
  const char* BodyError() const;
  void FailMalformed(const char* reason);
  Buffer TakeInput();
  void DropInput();
  void Append(std::string_view data);
  void DropOutput();
  void Cut();
  // What follows the last byte of the response in place of its end.
  Http2Error EndError() const;
  void BeginBody();
  void AwaitBody(size_t came);
  void OnDeadline();
  void SetDeadline(uint32_t ms);
  std::string_view Hsts() const;

  WorkerContext* const context_;
  Http2Server* server_ = nullptr;
  StreamHandler* handler_ = nullptr;
  int32_t id_ = 0;
  uint32_t place_ = 0;          // in the connection's list
  bool queued_ = false;         // Work() is to be called
  mutable bool waiting_ = false;  // the session is to be told when it may send
  bool head_done_ = false;      // the request's head is whole
  bool begun_ = false;          // and a session has it, or had
  bool in_trailers_ = false;    // a further head has begun
  bool wrong_trailers_ = false;  // and ended, and the stream went on
  bool body_ended_ = false;     // the client has sent all
  bool delivered_ = false;      // and the session has it
  bool bodiless_ = false;       // the request ended with its head
  bool malformed_ = false;
  bool grpc_ = false;
  bool connect_ = false;        // it asks for a tunnel (RFC 8441)
  std::string accept_;          // what must answer that, from a backend of HTTP/1
  bool tunnel_ = false;         // and has it
  bool head_request_ = false;
  bool head_sent_ = false;
  bool cut_ = false;            // though there should: an error is to follow
  bool unread_ = false;         // the client took nothing of what waits for it, in its time
  bool closed_ = false;         // the codec knows it no more
  bool both_ended_ = false;     // because each side has ended its direction of a tunnel
  bool lost_ = false;           // the connection is over: only what the codec has announced is still sent
  uint64_t list_bytes_ = 0;     // of the head's fields, as RFC 9113 section 6.5.2 counts them
  uint64_t declared_ = kNoLength, received_ = 0;  // of the request's body
  uint64_t progress_ = 0;       // out_.sent when the deadline was last looked at
  RateWatch rate_;
  Timer timer_, grpc_timer_;
  Http2Request request_;
  Http2Trailers trailers_;
  Buffer in_;                   // of the request's body
  Http2Outgoing out_;           // the response's
};

// Reused among the connections of one worker.
using Http2StreamPool = ObjectPool<Http2Stream>;

}  // namespace ub

#endif  // UB_HTTP_HTTP2_STREAM_H_
