// A try by HTTP/2: a stream on a connection that it shares with others (http2_client.h).
//
// As with http2_stream, what the codec tells is only noted, and handed on by Work() when the codec is not at work. Waits in
// its backend's queue (http2_clients.h) while no connection has room for it. Taken from a pool by the session; worker
// process; no allocation of its own in steady state.
#ifndef UB_HTTP_HTTP2_ATTEMPT_H_
#define UB_HTTP_HTTP2_ATTEMPT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event/timer.h"
#include "http/http2_events.h"
#include "http/http2_outgoing.h"
#include "http/http2_response.h"
#include "http/upstream_attempt.h"

namespace ub {

class Http2Client;
class Http2Clients;

class Http2Attempt final : public UpstreamAttempt, public CodecStream {
 public:
  // `head` is memory for parsing; all three outlive the attempt.
  Http2Attempt(EventLoop* loop, Http2Clients* clients, ResponseHead* head);
  // Who is told, from the next Start on.
  void set_handler(AttemptHandler* handler) { handler_ = handler; }

  std::optional<AttemptError> Start(const Request& request, const Config* config, bool allow_reuse) override;
  void SendBody(std::string_view data, bool end, std::string_view trailers) override;
  bool writable() const override;
  void Resume() override { Work(); }
  void End() override;

 private:
  friend class Http2Client;
  friend class Http2Clients;
  static constexpr uint64_t kNoLength = UINT64_MAX;
  static void OnTimer(void* self);

  // The connection's: a stream of it may begin.
  void Open(Http2Client* client, int32_t stream);
  // The connection cannot take the request: it fails as soon as it is looked at.
  void OpenRefused(Http2Client* client, const char* why);
  // Hands on what was noted.
  void Work();
  // No connection came about, or this one was lost; the handler is told when it has had all that came before.
  void FailWaiting(TryFailure failure, const Status& status);
  void Lose(TryFailure failure, StatusCode code, const std::string& why);
  // A head is whole; `end`: the stream too.
  void NoteHead(bool end, const ParseLimits& limits);
  void NoteClosed(uint32_t error);
  bool HandInterims();
  bool HandHead();
  bool HandUpgrade();
  bool HandBody();
  // Whether what has come of the body, and its end, fit what was announced. nullptr, or what is wrong.
  const char* BodyError() const;
  bool ParseHead(std::string_view text, size_t* bytes);
  void Fail(TryFailure failure, StatusCode code, std::string detail);
  void Malformed(const char* reason);
  void OnDeadline();
  void Progress();
  // May not take more of the request's body now.
  bool blocked() const;
  Buffer TakeInput();

  Http2Clients* const clients_;
  Http2Client* client_ = nullptr;  // null: waits for one, or has lost it
  int32_t id_ = 0;
  uint32_t place_ = 0;            // in the connection's list
  bool queued_ = false;           // Work() is to be called
  mutable bool waiting_ = false;  // the handler is to be told when it may send
  bool head_ready_ = false;       // the final head is whole, in response_
  bool ended_ = false;            // the backend has sent all
  bool closed_ = false;           // the stream is no more
  bool working_ = false;
  Http2Error reset_ = Http2Error::kCancel;  // what a stream that is not over is reset with
  TryFailure failure_ = TryFailure::kReset;  // why it closed before its end
  StatusCode failure_code_ = StatusCode::kReset;
  std::string failure_text_;
  const char* wrong_ = nullptr;   // with the head
  bool wrong_trailers_ = false;   // a second head, and the stream went on
  uint64_t list_bytes_ = 0;       // of the head's fields, as RFC 9113 section 6.5.2 counts them
  uint64_t declared_ = kNoLength, received_ = 0;  // of the response's body
  uint64_t progress_ = 0;         // out_.sent when the deadline was last looked at
  uint64_t opened_ns_ = 0;
  Timer timer_;
  Http2Response response_;
  Http2Trailers trailers_;
  std::string interims_;          // heads of 1xx responses, as HTTP/1.1
  Buffer in_;                     // of the response's body
  Http2Outgoing out_;             // the request's
};

// Attempts of one worker, reused. One that is given back is free again at the next turn, when none of its calls is on the
// stack.
class Http2AttemptPool {
 public:
  Http2Attempt* Take(EventLoop* loop, Http2Clients* clients, ResponseHead* head, AttemptHandler* handler);
  void Give(Http2Attempt* attempt) { done_.push_back(attempt); }
  void Recycle();
  size_t allocated() const { return all_.size(); }

 private:
  std::vector<std::unique_ptr<Http2Attempt>> all_;
  std::vector<Http2Attempt*> free_, done_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_ATTEMPT_H_
