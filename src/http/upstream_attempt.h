// One try of a request at one backend: the request out, the response in. What all protocols have in common; http1_attempt and
// http2_attempt are the ways to speak with a backend.
//
// Reused from try to try. A call of the handler is the last thing that the attempt does with an event, unless it sees
// that the handler has left it as it was: the handler may start the next try, or finish the session, from within. Worker process.
#ifndef UB_HTTP_UPSTREAM_ATTEMPT_H_
#define UB_HTTP_UPSTREAM_ATTEMPT_H_

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/status.h"
#include "event/event_loop.h"
#include "http/message.h"
#include "http/retry_policy.h"
#include "upstream/backend_security.h"

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

class UpstreamAttempt {
 public:
  struct Request {
    std::string_view head;  // forwarded head; must stay until the response is there
    std::string_view body;  // what is there of the body; the same
    bool body_complete = true;
    bool chunked = false;
    bool upgrade = false;  // a 101 may answer it
    bool te_trailers = false;  // the client takes trailers (RFC 9110 section 10.1.4): said on where the protocol lets us
    std::string_view trailers;
    Method method = Method::kGet;
    const sockaddr* address = nullptr;
    socklen_t address_bytes = 0;
    uint32_t slot = 0, generation = 0;
    std::pair<const BackendSecurity*, const BackendSlot*> security;  // how to speak with the backend; null: in plain text
  };

  virtual ~UpstreamAttempt() = default;

  // `config` outlives the attempt. An immediate failure is returned and the handler not called for it. `allow_reuse`: a
  // connection that has served others will do.
  virtual std::optional<AttemptError> Start(const Request& request, const Config* config, bool allow_reuse) = 0;
  // More of the request's body.
  virtual void SendBody(std::string_view data, bool end, std::string_view trailers) = 0;
  // May more body be given: connected and not congested. In a tunnel whose client has ended: the backend has taken all.
  virtual bool writable() const = 0;
  // The handler wants responses again.
  virtual void Resume() = 0;
  // Ends it, whatever it does: the connection is kept if it may serve others, else closed. No handler is called.
  virtual void End() = 0;

  // While connecting: the body's bytes have moved.
  void MoveBody(std::string_view body) { request_.body = body; }
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

 protected:
  enum class State : uint8_t { kIdle, kConnecting, kActive };

  UpstreamAttempt(EventLoop* loop, ResponseHead* head, AttemptHandler* handler)
      : loop_(loop), head_(head), handler_(handler) {}

  EventLoop* const loop_;
  ResponseHead* const head_;  // memory for parsing, shared by all attempts of a worker
  AttemptHandler* handler_;
  const Config* config_ = nullptr;
  State state_ = State::kIdle;
  bool reused_ = false;
  bool head_done_ = false;      // the final response head has come
  bool any_byte_ = false;       // of a response
  bool response_done_ = false;
  bool tunnel_ = false;         // the backend has switched protocols
  uint32_t run_ = 0;            // grows with each end: tells a caller that its attempt is over
  uint64_t sent_ns_ = 0;
  uint64_t started_ns_ = 0;
  uint64_t connect_ns_ = kNoConnect;
  uint64_t bytes_sent_ = 0, bytes_received_ = 0;
  Request request_{};
};

}  // namespace ub

#endif  // UB_HTTP_UPSTREAM_ATTEMPT_H_
