// One try of a request at one backend: a connection (kept-alive or new), the request out, the response in.
//
// Part of its session and reused from try to try. Every event ends in at most one call of the handler, as the very
// last thing that the attempt does: the handler may start the next try, or finish the session, from within. Worker
// process; allocates nothing with a pooled connection.
#ifndef UB_HTTP_UPSTREAM_ATTEMPT_H_
#define UB_HTTP_UPSTREAM_ATTEMPT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"
#include "event/connection.h"
#include "http/body.h"
#include "http/http1_parser.h"
#include "http/message.h"
#include "http/retry_policy.h"
#include "upstream/backend_security.h"
#include "upstream/keepalive_pool.h"

namespace ub {

class AttemptHandler {
 public:
  virtual ~AttemptHandler() = default;
  // The connection stands, the head and what was there of the body are on their way; more body may be sent.
  virtual void OnAttemptWritable() = 0;
  virtual void OnInterim(ResponseHead* head) = 0;
  // The response begins. `data`: what has come of its body, valid for this call.
  virtual void OnResponse(ResponseHead* head, std::string_view data, bool end) = 0;
  virtual void OnResponseBody(std::string_view data, bool end, std::string_view trailers) = 0;
  // In place of OnResponse, where an upgrade was asked for: the backend has switched protocols, `data` came with its head.
  // From here on the connection is a tunnel, told of by OnResponseBody and fed by SendBody until each has said `end`.
  virtual void OnUpgrade(ResponseHead* head, std::string_view data) = 0;
  virtual void OnAttemptFailed(TryFailure failure, const Status& status) = 0;
  // False while the client cannot take more: the attempt stops reading.
  virtual bool WantsResponse() const = 0;
  // OnResponse is near: see core/prefetch.h.
  virtual void Warm() const {}
};

struct AttemptError {
  TryFailure failure;
  Status status;
};

class UpstreamAttempt final : public ConnectionHandler {
 public:
  // `head` is memory for parsing, shared by all attempts of a worker; all three outlive the attempt.
  UpstreamAttempt(EventLoop* loop, KeepalivePool* pool, ResponseHead* head, AttemptHandler* handler)
      : loop_(loop), pool_(pool), head_(head), handler_(handler), input_(&loop->buffers()) {}

  struct Request {
    std::string_view head;  // forwarded head; must stay until the attempt ends
    std::string_view body;  // what is there of the body; the same
    bool body_complete = true;
    bool chunked = false;
    bool upgrade = false;  // a 101 may answer it
    std::string_view trailers;
    Method method = Method::kGet;
    const sockaddr* address = nullptr;
    socklen_t address_bytes = 0;
    uint32_t slot = 0, generation = 0;
    std::pair<const BackendSecurity*, const BackendSlot*> security;  // how to speak with the backend; null: in plain text
  };

  // `config` outlives the attempt. An immediate failure is returned and the handler not called for it.
  std::optional<AttemptError> Start(const Request& request, const Config* config, bool allow_reuse);
  // While connecting: the body's bytes have moved.
  void MoveBody(std::string_view body) { request_.body = body; }
  // More of the request's body.
  void SendBody(std::string_view data, bool end, std::string_view trailers);
  // May more body be given: connected and not congested.
  bool writable() const { return state_ == State::kActive && !link_->connection->congested(); }
  // The handler wants responses again.
  void Resume();
  // Ends it, whatever it does: the connection is kept if both messages are complete, else closed. No handler is called.
  void End();

  bool active() const { return state_ != State::kIdle; }
  bool connecting() const { return state_ == State::kConnecting; }
  bool reused() const { return reused_; }
  uint64_t sent_ns() const { return sent_ns_; }
  // How long the connection of the last try took to stand; kNoConnect: it was there already, or never stood.
  static constexpr uint64_t kNoConnect = UINT64_MAX;
  uint64_t connect_ns() const { return connect_ns_; }
  // Bytes to and from the backend in the try that has ended, heads included.
  uint64_t bytes_sent() const { return bytes_sent_; }
  uint64_t bytes_received() const { return bytes_received_; }

  void OnConnected(int error) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnDeadline() override;

 private:
  enum class State : uint8_t { kIdle, kConnecting, kActive };
  Result<std::unique_ptr<Connection>> Connect(const Request& request, bool* connected);
  void Send();
  void ReadOnce();
  void TakeHead(char* bytes, size_t count);
  void TakeBody(char* bytes, size_t count);
  void TakeUpgrade(char* bytes, size_t count);
  void AtEnd(int error);
  void Fail(TryFailure failure, StatusCode code, std::string detail);
  void CountSent();
  void Progress();

  EventLoop* loop_;
  KeepalivePool* pool_;
  ResponseHead* head_;
  AttemptHandler* handler_;
  const Config* config_ = nullptr;
  std::unique_ptr<BackendConnection> link_;
  State state_ = State::kIdle;
  bool reused_ = false;
  bool head_done_ = false;       // the final response head has come
  bool any_byte_ = false;        // of a response
  bool request_done_ = false;    // everything was handed to the connection
  bool response_done_ = false;
  bool keep_alive_ = false;      // the response allows another request
  bool tunnel_ = false;          // the backend has switched protocols
  bool reading_ = false;         // in OnReadable, to keep Resume from recursing
  uint32_t run_ = 0;             // grows with each end: tells a caller that its attempt is over
  uint64_t sent_ns_ = 0;
  uint64_t started_ns_ = 0;
  uint64_t connect_ns_ = kNoConnect;
  uint64_t bytes_sent_ = 0, bytes_received_ = 0;
  uint32_t sent_mark_ = 0;       // the connection's sent_bytes() when bytes_sent_ was last counted
  uint32_t progress_ = 0;        // bytes that the backend had taken when the deadline was last looked at
  Request request_{};
  BodyReader reader_;
  BodyWriter writer_;
  HeadCursor cursor_;
  Buffer input_;  // an unfinished response head
};

}  // namespace ub

#endif  // UB_HTTP_UPSTREAM_ATTEMPT_H_
