// One request on its way: from its parsed head to the last byte of its response, over one or more tries.
//
// The state machine of the proxy. Talks to its client through a ServerStream and to a backend through an
// UpstreamAttempt. Every path ends in Finish(), once: there the lease is given back, the counters are written and the
// stream is let go. Reused through SessionPool; worker process; no allocation in steady state.
#ifndef UB_HTTP_PROXY_SESSION_H_
#define UB_HTTP_PROXY_SESSION_H_

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "core/prefetch.h"
#include "http/access_log.h"
#include "http/http1_attempt.h"
#include "http/request_queue.h"
#include "http/stream.h"
#include "http/upstream_attempt.h"
#include "http/worker_context.h"

namespace ub {

class ProxySession final : public StreamHandler, public AttemptHandler, public Waiter {
 public:
  explicit ProxySession(WorkerContext* context);

  // Takes a request: its head (which is used up) and what has come of its body. May finish before it returns.
  void Begin(ServerStream* stream, RequestHead* head, std::string_view body, bool body_end, std::string_view trailers);
  // Sends a page instead of proxying, for a request that could not be understood. `seen`: what has come of it.
  void Refuse(ServerStream* stream, uint16_t status, std::string_view seen);

  void OnRequestBody(std::string_view data, bool end, std::string_view trailers) override;
  bool WantsBody() const override;
  void OnStreamWritable() override;
  void OnStreamFailed(const Status& status, bool can_answer) override;

  void OnAttemptWritable() override;
  void OnInterim(ResponseHead* head) override;
  void OnResponse(ResponseHead* head, std::string_view data, bool end) override;
  void OnResponseBody(std::string_view data, bool end, std::string_view trailers) override;
  void OnUpgrade(ResponseHead* head, std::string_view data) override;
  void OnAttemptFailed(TryFailure failure, const Status& status) override;
  bool WantsResponse() const override { return !stream_->congested(); }
  void Warm() const override {
    stream_->Warm();
    Prefetch(this, sizeof *this - sizeof http1_);
  }

  Turn OnQueueTurn() override;
  void OnQueueTimeout() override;

 private:
  // The life of a request. Only Transition() changes it.
  enum class State : uint8_t {
    kFree,        // in the pool
    kTrying,      // a backend is picked, connected to or waited for
    kQueued,      // every backend is full
    kResponding,  // the client has seen the beginning of the response
    kTunnel,      // both sides have switched protocols
    kDone,
  };
  static constexpr size_t kMaxTried = 8;

  void Transition(State to);
  void Reset(ServerStream* stream);
  void ChooseRequestId(const HeaderList& headers);
  // Runs the stages before the pick. False: the request was answered.
  bool PassStages(const RequestHead& head);
  // Picks a backend and starts a try there.
  void Try(std::string_view body);
  PickVerdict Pick();
  // Picks, or waits for a place. False: it waits, or the client was answered.
  bool Acquire(std::string_view body);
  // Starts a try at the backend that was picked; fails over at once where connecting fails at once.
  void Launch(std::string_view body);
  UpstreamAttempt::Request AttemptRequest(std::string_view body) const;
  // Has attempt_ be one that speaks what the picked backend does.
  void ChooseAttempt();
  // What has come of the body is with the backend, which may be asked only once.
  void DropBody(std::string_view body);
  // It is of no use any more where it is not our own.
  void GiveAttempt();
  void NoteFailure(TryFailure failure, const Status& status);
  // A response whose status is a failure: tries another backend, if there is a place at one; otherwise the response is
  // the client's. True: it was thrown away.
  bool RetryElsewhere(uint16_t status);
  void CountRetry();
  void NoteConnect();
  // False: it is given up, and the client was answered.
  bool MayRetry(TryFailure failure, const Status& status);
  void EndLease(Outcome outcome);
  // The tunnel's (proxy_session_tunnel.cc).
  void OfferUpgrade(RequestHead* head);
  void FinishTunnelIfOver();
  void Answer(uint16_t status, uint32_t retry_after_seconds = 0, std::string_view fields = {});
  void Finish(bool complete);
  // The access log's line (proxy_session_log.cc); only where notes_ were taken.
  void LogAccess(bool complete) const;

  WorkerContext* const context_;
  std::shared_ptr<const Config> config_;
  ServerStream* stream_ = nullptr;
  State state_ = State::kFree;
  Method method_ = Method::kGet;
  bool idempotent_ = false;
  bool wants_json_ = false;
  bool chunked_ = false;        // the request's body
  bool te_trailers_ = false;    // the client takes trailers
  bool body_end_ = false;       // all of it has come
  bool replayable_ = true;      // head_ and body_ are all that was ever sent
  bool fresh_only_ = false;     // kept-alive connections have died on this request
  bool backend_ended_ = false;  // its direction of the tunnel
  bool fresh_ = false;          // the try under way has a connection of its own
  bool client_left_ = false;
  bool counted_retry_ = false;  // it stands in context_->retrying
  uint16_t status_ = 0;         // told to the client; 0: none yet
  uint16_t failed_status_ = 0;  // what the last failed try would be told as
  uint32_t attempts_ = 0, reused_died_ = 0;
  uint64_t begun_ns_ = 0;
  uint64_t body_bytes_ = 0;
  uint64_t response_ns_ = 0;  // from the send to the response's head
  uint64_t key_ = 0;
  ClientAddress client_;
  Lease lease_;
  std::array<uint32_t, kMaxTried> tried_;
  uint32_t tried_count_ = 0;
  RateVerdict rate_verdict_ = RateVerdict::kNone;
  // For the access log.
  AccessNotes notes_;
  uint32_t last_slot_ = kNoSlot;
  uint64_t sent_bytes_ = 0;     // of the response's body
  uint64_t first_byte_ns_ = 0;  // when the response's head came; 0: none yet
  std::string request_id_;
  std::string trailers_;
  std::string upgrade_;  // the protocols that the client offers to switch to; empty: none
  Buffer head_, body_;  // the forwarded head; body bytes that are not sent or may have to be sent again
  UpstreamAttempt* attempt_;  // http1_, or one of context_->http2_attempts
  Http1Attempt http1_;
};

}  // namespace ub

#endif  // UB_HTTP_PROXY_SESSION_H_
