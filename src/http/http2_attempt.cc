#include "http/http2_attempt.h"

#include <fmt/format.h>

#include "core/clock.h"
#include "event/tls_digest.h"
#include "http/http2_client.h"
#include "http/http2_clients.h"
#include "http/http2_fields.h"

namespace ub {
namespace {

// A request's bytes that wait, after which the session gives no more: one piece may come on top (EventLoop::kScratchBytes).
constexpr size_t kBlockedBytes = 16 * 1024;

// RFC 9113 section 7, by number.
std::string_view ErrorName(uint32_t error) {
  constexpr std::string_view kNames[] = {"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
                                         "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM",
                                         "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
                                         "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"};
  return error < std::size(kNames) ? kNames[error] : "an unknown error";
}

}  // namespace

Http2Attempt::Http2Attempt(EventLoop* loop, Http2Clients* clients, ResponseHead* head)
    : UpstreamAttempt(loop, head, nullptr),
      clients_(clients),
      timer_(loop, &Http2Attempt::OnTimer, this),
      in_(&loop->buffers()),
      out_(&loop->buffers()) {}

// Which connection it is does not matter: one that dies takes all its streams along, and none of them may choose it again.
std::optional<AttemptError> Http2Attempt::Start(const Request& request, const Config* config, bool) {
  request_ = request;
  config_ = config;
  head_done_ = any_byte_ = response_done_ = tunnel_ = head_ready_ = ended_ = closed_ = false;
  reset_ = Http2Error::kCancel;
  wrong_ = nullptr;
  wrong_trailers_ = false;
  list_bytes_ = received_ = progress_ = bytes_sent_ = bytes_received_ = 0;
  declared_ = kNoLength;
  connect_ns_ = kNoConnect;
  client_ = nullptr;
  out_.Reset();
  state_ = State::kConnecting;
  started_ns_ = loop_->now_ns();
  timer_.Set(started_ns_ + MsToNs(config_->timeout.connect_ms));
  std::optional<AttemptError> error = clients_->Join(this);
  if (error) End();
  return error;
}

void Http2Attempt::Open(Http2Client* client, int32_t stream) {
  client_ = client;
  id_ = stream;
  state_ = State::kActive;
  opened_ns_ = sent_ns_ = loop_->now_ns();
  if (!reused_) connect_ns_ = opened_ns_ - started_ns_;
  bytes_sent_ = request_.head.size();
  Progress();
}

bool Http2Attempt::blocked() const { return out_.bytes.size() >= kBlockedBytes || client_->congested(); }

bool Http2Attempt::writable() const {
  if (state_ != State::kActive) return false;
  if (closed_) return tunnel_ && out_.end;
  if (client_ == nullptr || (tunnel_ && out_.end)) return false;
  if (!blocked()) return true;
  if (!waiting_) client_->Await(const_cast<Http2Attempt*>(this));
  return false;
}

void Http2Attempt::SendBody(std::string_view data, bool end, std::string_view trailers) {
  out_.end = end;
  if (client_ == nullptr || closed_) return;
  out_.trailers.assign(trailers);
  out_.bytes.Append(data);
  if (end) sent_ns_ = loop_->now_ns();
  client_->BodyCame(this, data.size());
  Progress();
}

void Http2Attempt::Progress() {
  // In a tunnel the client's side watches for silence, until the client has ended its direction.
  if (!tunnel_ || out_.end || !out_.bytes.empty() || (client_ != nullptr && client_->congested())) {
    timer_.Set(loop_->now_ns() + MsToNs(tunnel_ ? config_->timeout.idle_ms : config_->timeout.request_ms));
  } else {
    timer_.Cancel();
  }
}

void Http2Attempt::End() {
  if (state_ == State::kIdle) return;
  run_++;
  if (state_ == State::kConnecting) clients_->LeaveQueue(this);
  state_ = State::kIdle;
  working_ = false;
  timer_.Cancel();
  if (client_ != nullptr) client_->Drop(this);
  client_ = nullptr;
  in_.Clear();
  out_.bytes.Clear();
  response_.Clear();
  trailers_.Clear();
  interims_.clear();
}

void Http2Attempt::Fail(TryFailure failure, StatusCode code, std::string detail) {
  End();
  handler_->OnAttemptFailed(failure, Status(code, StatusSource::kBackend, std::move(detail)));
}

void Http2Attempt::Malformed(const char* reason) {
  reset_ = Http2Error::kProtocol;
  Fail(TryFailure::kBadResponse, StatusCode::kProtocol, reason);
}

void Http2Attempt::FailWaiting(TryFailure failure, const Status& status) {
  End();
  handler_->OnAttemptFailed(failure, status);
}

void Http2Attempt::Lose(TryFailure failure, StatusCode code, const std::string& why) {
  client_ = nullptr;
  queued_ = waiting_ = false;
  if (closed_) return;
  closed_ = true;
  const bool reset = failure == TryFailure::kReset;
  failure_ = reset && reused_ && !any_byte_ ? TryFailure::kReusedDied : failure;
  failure_code_ = code;
  const char* where = head_done_ ? " in the middle of the response" : " before a response";
  failure_text_ = reset ? why + where : why;
}

void Http2Attempt::OpenRefused(Http2Client* client, const char* why) {
  Open(client, 0);
  closed_ = true;
  failure_ = TryFailure::kUnaskable;
  failure_code_ = StatusCode::kProtocol;
  failure_text_ = why;
}

void Http2Attempt::NoteClosed(uint32_t error) {
  closed_ = true;
  if (ended_) return;
  const bool refused = error == static_cast<uint32_t>(Http2Error::kRefusedStream) && !any_byte_;
  failure_ = refused ? TryFailure::kRefused : TryFailure::kReset;
  failure_code_ = refused ? StatusCode::kUnavailable : StatusCode::kReset;
  failure_text_ = fmt::format("stream ended by {}{}", ErrorName(error),
                              any_byte_ ? " in the middle of the response" : " before a response");
}

void Http2Attempt::NoteHead(bool end, const ParseLimits& limits) {
  if (head_ready_ || wrong_ != nullptr) return;  // trailers
  wrong_ = request_.upgrade ? response_.FinishConnect(end, WebSocketAccept(LineValue(request_.head, "sec-websocket-key")))
                            : response_.Finish(end, request_.method);
  if (wrong_ != nullptr) return;
  bytes_received_ += response_.text().size();
  if (response_.status() >= 200) {
    head_ready_ = true;
    return;
  }
  interims_ += response_.text();
  if (interims_.size() > limits.header_bytes) wrong_ = "too many interim responses";
  response_.Clear();
}

bool Http2Attempt::ParseHead(std::string_view text, size_t* bytes) {
  HeadCursor cursor;
  const ParseLimits limits{config_->limits.header_bytes, config_->limits.headers, config_->limits.uri_bytes};
  const ParseOutcome outcome = ParseResponseHead(text, cursor, limits, request_.method, head_);
  if (outcome.verdict != ParseVerdict::kComplete) {
    Malformed(outcome.verdict == ParseVerdict::kBad ? outcome.reason : "ambiguous head");
    return false;
  }
  head_->minor_version = kHttp2Version;
  *bytes = head_->bytes;
  return true;
}

bool Http2Attempt::HandInterims() {
  const uint32_t run = run_;
  while (!interims_.empty() && !head_done_) {
    if (!handler_->WantsResponse()) return false;
    std::string text;
    text.swap(interims_);
    size_t bytes = 0;
    if (!ParseHead(text, &bytes)) return false;
    interims_.assign(text, bytes);
    handler_->OnInterim(head_);
    if (run != run_) return false;
  }
  return true;
}

bool Http2Attempt::HandHead() {
  if (head_done_) return true;
  if (wrong_ != nullptr) {
    Malformed(wrong_);
    return false;
  }
  size_t bytes = 0;
  if (!head_ready_ && ended_) {
    Malformed("the stream ended before its head");
    return false;
  }
  if (!head_ready_) return true;
  if (!ParseHead(response_.text(), &bytes)) return false;
  if (head_->status == 101) return HandUpgrade();
  if (head_->body == BodyKind::kLength) declared_ = head_->content_length;
  if (head_->body == BodyKind::kNone) declared_ = 0;
  if (const char* wrong = BodyError(); wrong != nullptr) {
    Malformed(wrong);
    return false;
  }
  head_done_ = true;
  const uint32_t run = run_;
  const Buffer data = TakeInput();
  response_done_ = ended_ && trailers_.text().empty();
  handler_->OnResponse(head_, data.view(), response_done_);
  return run == run_;
}

bool Http2Attempt::HandUpgrade() {
  head_done_ = tunnel_ = true;
  const uint32_t run = run_;
  const Buffer data = TakeInput();
  Progress();
  handler_->OnUpgrade(head_, data.view());
  return run == run_;
}

bool Http2Attempt::HandBody() {
  const uint32_t run = run_;
  while (head_done_ && !response_done_ && (!in_.empty() || ended_ || wrong_trailers_)) {
    if (const char* wrong = BodyError(); wrong != nullptr) {
      Malformed(wrong);
      return false;
    }
    if (!handler_->WantsResponse()) return false;
    const Buffer data = TakeInput();
    response_done_ = ended_;
    handler_->OnResponseBody(data.view(), ended_, ended_ ? std::string_view(trailers_.text()) : std::string_view());
    if (run != run_) return false;
  }
  return true;
}

void Http2Attempt::Work() {
  if (working_ || state_ != State::kActive) return;
  working_ = true;
  const uint32_t run = run_;
  const bool all = HandInterims() && HandHead() && HandBody();
  if (run != run_) return;
  working_ = false;
  if (!all || !closed_) return;
  if (!ended_) {
    Fail(failure_, failure_code_, std::move(failure_text_));
  } else if (tunnel_ && !out_.end) {
    Fail(TryFailure::kReset, StatusCode::kReset, "stream reset in a tunnel");
  } else if (tunnel_) {
    handler_->OnAttemptWritable();
  }
}

const char* Http2Attempt::BodyError() const {
  if (trailers_.error() != nullptr) return trailers_.error();
  if (wrong_trailers_) return "trailers that do not end the stream";
  if (declared_ == kNoLength) return nullptr;
  if (received_ > declared_) return "more body than was announced";
  return ended_ && received_ < declared_ ? "less body than was announced" : nullptr;
}

Buffer Http2Attempt::TakeInput() {
  Buffer taken = std::move(in_);
  in_ = Buffer(&loop_->buffers());
  if (client_ != nullptr && !closed_ && !taken.empty()) client_->BodyTaken(this, taken.size());
  return taken;
}

void Http2Attempt::OnTimer(void* self) { static_cast<Http2Attempt*>(self)->OnDeadline(); }

void Http2Attempt::OnDeadline() {
  if (state_ == State::kConnecting) {
    const Status late = clients_->WhyLate(*this);
    FailWaiting(late.code() == StatusCode::kUnavailable ? TryFailure::kRefused : TryFailure::kConnect, late);
    return;
  }
  // Waiting for the client, to send or to read, is not the backend's fault; the client's own deadline watches that.
  // What is to go to the backend waits in the stream, or with others' in the connection.
  const bool stuck = client_ != nullptr && !closed_ && client_->congested();
  const uint64_t sent = out_.bytes.empty() && stuck ? client_->sent_bytes() : out_.sent;
  const bool moved = progress_ != sent;
  progress_ = sent;
  const bool sends = !out_.end && (tunnel_ || !request_.upgrade);  // before a tunnel stands, nobody has anything to send
  // Who waits for its client to read may take no more of the request meanwhile. In a tunnel both would wait for each other.
  const bool unread = !tunnel_ && !handler_->WantsResponse();
  const bool client_slow = !out_.bytes.empty() || stuck ? moved || unread : sends || !handler_->WantsResponse();
  if (client_slow) return Progress();
  if (client_ != nullptr) client_->Doubt(opened_ns_);
  Fail(TryFailure::kTimeout, StatusCode::kTimeout, head_done_ ? "no more of the response in time" : "no response in time");
}

Http2Attempt* Http2AttemptPool::Take(EventLoop* loop, Http2Clients* clients, ResponseHead* head, AttemptHandler* handler) {
  Http2Attempt* attempt;
  if (free_.empty()) {
    all_.push_back(std::make_unique<Http2Attempt>(loop, clients, head));
    attempt = all_.back().get();
  } else {
    attempt = free_.back();
    free_.pop_back();
  }
  attempt->set_handler(handler);
  return attempt;
}

void Http2AttemptPool::Recycle() {
  free_.insert(free_.end(), done_.begin(), done_.end());
  done_.clear();
}

}  // namespace ub
