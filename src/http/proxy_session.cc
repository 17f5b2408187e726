#include "http/proxy_session.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/log.h"
#include "http/request_record.h"

namespace ub {
namespace {

constexpr size_t kMaxRequestId = 128;
constexpr uint32_t kRetryAfterSeconds = 1;

// An id that a client sent is kept where it cannot harm a log line or a page.
bool IsUsableId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.' || c == ':' || c == '+' || c == '/' || c == '=';
  });
}

bool HasDate(const HeaderList& headers) {
  return std::any_of(headers.begin(), headers.end(), [](const HeaderField& field) {
    return field.name.size() == 4 && EqualsIgnoreCase(field.name, "Date");
  });
}

}  // namespace

ProxySession::ProxySession(WorkerContext* context)
    : context_(context),
      head_(&context->loop->buffers()),
      body_(&context->loop->buffers()),
      attempt_(&http1_),
      http1_(context->loop, context->pool, &context->response_head, this) {}

void ProxySession::Transition(State to) { state_ = to; }

void ProxySession::Reset(ServerStream* stream) {
  stream_ = stream;
  config_ = context_->config;
  body_end_ = fresh_only_ = counted_retry_ = fresh_ = client_left_ = false;
  begun_ns_ = context_->loop->now_ns();
  replayable_ = true;
  status_ = failed_status_ = 0;
  rate_verdict_ = RateVerdict::kNone;
  notes_.Clear();
  last_slot_ = kNoSlot;
  sent_bytes_ = first_byte_ns_ = 0;
  attempts_ = reused_died_ = tried_count_ = 0;
  body_bytes_ = response_ns_ = key_ = 0;
  lease_ = Lease();
  trailers_.clear();
  context_->active++;
  Transition(State::kTrying);
}

void ProxySession::ChooseRequestId(const HeaderList& headers) {
  const HeaderField* given = FindHeader(headers, HeaderId::kXRequestId);
  if (given != nullptr && IsUsableId(given->value)) {
    request_id_.assign(given->value);
  } else {
    context_->NewRequestId(&request_id_);
  }
}

void ProxySession::Refuse(ServerStream* stream, uint16_t status, std::string_view seen) {
  Reset(stream);
  if (context_->access_log->on()) notes_.TakeFirstLine(seen, context_->loop->now_ns());
  client_ = {.address = stream->client().peer};
  method_ = Method::kGet;
  wants_json_ = false;
  context_->NewRequestId(&request_id_);
  Answer(status);
}

void ProxySession::Begin(ServerStream* stream, RequestHead* head, std::string_view body, bool body_end,
                         std::string_view trailers) {
  Reset(stream);
  if (context_->access_log->on()) notes_.Take(*head, context_->loop->now_ns());
  method_ = head->method;
  idempotent_ = head->idempotent();
  wants_json_ = PrefersJson(head->headers);
  chunked_ = head->body == BodyKind::kChunked;
  te_trailers_ = head->te_trailers;
  body_end_ = body_end;
  body_bytes_ = body.size();
  OfferUpgrade(head);
  ChooseRequestId(head->headers);
  client_ = FindClient(stream->client().peer, head->headers, context_->settings.trust);
  if (!PassStages(*head)) return;
  const uint64_t limit = config_->limits.body_bytes;
  if (limit != 0 && (head->content_length > limit || body_bytes_ > limit)) {
    Answer(413);
    return;
  }
  if (method_ == Method::kOptions && EndsHere(*head)) return Answer(200);
  if (context_->group->algorithm().uses_key) key_ = context_->settings.hash_key.Hash(*head, client_.address);
  const std::string fallback_host = head->authority.empty() ? stream->LocalHost() : std::string();
  WriteForwardedRequest(head, stream->client(), client_, config_->forwarded, request_id_, fallback_host, &head_);
  trailers_.assign(trailers);
  // What may have to be sent twice must outlive the buffer that it was read into.
  if (idempotent_ && !body.empty()) {
    body_.Append(body);
    body = body_.view();
  }
  Try(body);
}

bool ProxySession::PassStages(const RequestHead& head) {
  if (context_->stages.empty()) return true;
  StageResult result;
  const StageRequest request{head, client_.address, context_->loop->now_ns(), CameSecure(stream_->client(), client_, head.headers)};
  const bool admitted = context_->stages.Admit(request, &result);
  rate_verdict_ = result.rate_limit;
  if (admitted) return true;
  if (rate_verdict_ == RateVerdict::kLimited) Add(context_->counters->rate_limited);
  Answer(result.status, result.retry_after_seconds, result.fields);
  return false;
}

PickVerdict ProxySession::Pick() {
  const PickRequest request{key_, context_->loop->now_ns(), std::span<const uint32_t>(tried_.data(), tried_count_)};
  return context_->group->Pick(request, &lease_);
}

void ProxySession::Try(std::string_view body) {
  if (Acquire(body)) Launch(body);
}

bool ProxySession::Acquire(std::string_view body) {
  // Nobody overtakes those who wait.
  const PickVerdict verdict = context_->queue->empty() ? Pick() : PickVerdict::kAllFull;
  if (verdict == PickVerdict::kPicked) return true;
  if (verdict == PickVerdict::kAllFull && context_->queue->Join(this)) {
    // What has come of the body must outlive the buffer that it was read into.
    if (body_.empty()) body_.Append(body);
    Transition(State::kQueued);
    return false;
  }
  Answer(failed_status_ != 0 ? failed_status_ : 503);
  return false;
}

Waiter::Turn ProxySession::OnQueueTurn() {
  const PickVerdict verdict = Pick();
  if (verdict == PickVerdict::kAllFull) return tried_count_ == 0 ? Turn::kNoPlace : Turn::kPassOver;
  context_->queue->Leave(this);
  Transition(State::kTrying);
  if (verdict == PickVerdict::kPicked) {
    Launch(body_.view());
  } else {
    Answer(failed_status_ != 0 ? failed_status_ : 503);
  }
  return Turn::kGone;
}

void ProxySession::OnQueueTimeout() {
  Transition(State::kTrying);
  Answer(failed_status_ != 0 ? failed_status_ : 503);
}

void ProxySession::Launch(std::string_view body) {
  for (;;) {
    attempts_++;
    if (attempts_ + reused_died_ > 1) Add(context_->counters->retries);
    last_slot_ = lease_.slot;
    fresh_ = false;
    ChooseAttempt();
    std::optional<AttemptError> error = attempt_->Start(AttemptRequest(body), config_.get(), !fresh_only_);
    if (!error) break;
    NoteFailure(error->failure, error->status);
    if (!MayRetry(error->failure, error->status) || !Acquire(body)) return;
  }
  if (attempt_->reused()) Add(context_->counters->upstream_reuses);
  NoteConnect();
  if (attempt_->connecting()) {
    if (body_.empty() && !body.empty()) {
      body_.Append(body);
      attempt_->MoveBody(body_.view());
    }
  } else if (!idempotent_) {
    DropBody(body);
  }
  // After a wait or a failed try nobody else looks whether the client has sent more meanwhile.
  if (!body_end_ && attempt_->writable()) stream_->ResumeBody();
}

// Once for a connection of its own, and only when that stands.
void ProxySession::NoteConnect() {
  if (fresh_ || attempt_->connect_ns() == UpstreamAttempt::kNoConnect) return;
  fresh_ = true;
  Add(context_->counters->upstream_connects);
}

void ProxySession::OnAttemptWritable() {
  NoteConnect();
  if (!idempotent_ && !body_.empty()) DropBody(body_.view());
  if (!body_end_) {
    stream_->ResumeBody();
  } else if (state_ == State::kTunnel) {
    FinishTunnelIfOver();
  }
}

bool ProxySession::WantsBody() const { return attempt_->writable(); }

void ProxySession::OnRequestBody(std::string_view data, bool end, std::string_view trailers) {
  body_end_ = end;
  if (state_ == State::kTunnel) {
    attempt_->SendBody(data, end, {});
    FinishTunnelIfOver();
    return;
  }
  body_bytes_ += data.size();
  const uint64_t limit = config_->limits.body_bytes;
  if (limit != 0 && body_bytes_ > limit) {
    attempt_->End();
    EndLease(Outcome::kNeutral);
    if (state_ == State::kTrying) {
      Answer(413);
    } else {
      Finish(false);
    }
    return;
  }
  replayable_ = false;
  if (attempt_->active()) attempt_->SendBody(data, end, trailers);
}

void ProxySession::OnInterim(ResponseHead* head) { stream_->SendInterim(head); }

void ProxySession::OnResponse(ResponseHead* head, std::string_view data, bool end) {
  const uint64_t now = context_->loop->now_ns();
  response_ns_ = now - attempt_->sent_ns();
  NoteConnect();
  const bool failed = StatusIsFailure(config_->retry, head->status);
  if (failed && RetryElsewhere(head->status)) return;
  if (failed || lease_.half_open) {
    const Outcome outcome = failed ? Outcome::kFailure : Outcome::kSuccess;
    context_->group->Settle(&lease_, outcome, response_ns_, context_->loop->now_ns());
  }
  status_ = head->status;
  first_byte_ns_ = now;
  sent_bytes_ = data.size();
  Transition(State::kResponding);
  head_.Clear();
  body_.Clear();
  if (!HasDate(head->headers)) head->headers.push_back({"Date", HttpDate()});  // RFC 9110 section 6.6.1
  stream_->SendHead(head, config_->forwarded.x_request_id ? std::string_view(request_id_) : std::string_view(), data,
                    end);
  if (end) Finish(true);
}

bool ProxySession::RetryElsewhere(uint16_t status) {
  const RetryQuestion question{TryFailure::kStatus, status, attempts_, reused_died_, idempotent_, replayable_,
                               false, context_->active, context_->retrying};
  if (!DecideRetry(config_->retry, question) || tried_count_ == kMaxTried) return false;
  const Lease failed = lease_;
  tried_[tried_count_++] = failed.slot;
  if (Pick() != PickVerdict::kPicked) {
    lease_ = failed;
    return false;
  }
  const Lease next = std::exchange(lease_, failed);
  attempt_->End();
  Log(LogLevel::kWarn, "backend {}: status {}, tried again elsewhere (request {})",
      context_->group->Slot(failed.slot).address_text, status, request_id_);
  EndLease(Outcome::kFailure);
  lease_ = next;
  failed_status_ = status;
  CountRetry();
  Launch(body_.view());
  return true;
}

void ProxySession::OnResponseBody(std::string_view data, bool end, std::string_view trailers) {
  sent_bytes_ += data.size();
  stream_->SendBody(data, end, trailers);
  if (!end) return;
  if (state_ != State::kTunnel) return Finish(true);
  backend_ended_ = true;
  FinishTunnelIfOver();
}

void ProxySession::OnStreamWritable() { attempt_->Resume(); }

void ProxySession::OnStreamFailed(const Status& status, bool can_answer) {
  attempt_->End();
  EndLease(Outcome::kNeutral);
  if (can_answer && (state_ == State::kTrying || state_ == State::kQueued)) {
    Answer(HttpStatusOf(status));
  } else {
    client_left_ = status.source() == StatusSource::kClient;
    Finish(false);
  }
}

void ProxySession::NoteFailure(TryFailure failure, const Status& status) {
  const bool reused = failure == TryFailure::kReusedDied || failure == TryFailure::kRefused;
  // Out of descriptors or ports, or asked for what it has not: not the backend's fault.
  const bool local = status.source() == StatusSource::kProxy || failure == TryFailure::kUnaskable;
  if (reused) {
    reused_died_++;
    attempts_--;
    fresh_only_ = true;
  } else {
    if (tried_count_ < kMaxTried) tried_[tried_count_++] = lease_.slot;
    Log(LogLevel::kWarn, "backend {}: {} (request {})", context_->group->Slot(lease_.slot).address_text,
        status.detail(), request_id_);
  }
  EndLease(reused || local ? Outcome::kNeutral : Outcome::kFailure);
}

bool ProxySession::MayRetry(TryFailure failure, const Status& status) {
  const RetryQuestion question{failure,      0,           attempts_,
                               reused_died_, idempotent_, replayable_,
                               state_ == State::kResponding, context_->active, context_->retrying};
  if (!DecideRetry(config_->retry, question)) {
    Answer(HttpStatusOf(status));
    return false;
  }
  failed_status_ = HttpStatusOf(status);
  if (failure != TryFailure::kReusedDied && failure != TryFailure::kRefused) CountRetry();
  return true;
}

void ProxySession::CountRetry() {
  if (counted_retry_) return;
  counted_retry_ = true;
  context_->retrying++;
}

void ProxySession::OnAttemptFailed(TryFailure failure, const Status& status) {
  // Programs at either end break tunnels off as they please: that says nothing of the backend.
  if (state_ == State::kTunnel) return Finish(false);
  NoteFailure(failure, status);
  if (state_ == State::kResponding) {
    Finish(false);
    return;
  }
  if (MayRetry(failure, status)) Try(body_.view());
}

void ProxySession::EndLease(Outcome outcome) {
  if (!lease_.valid()) return;
  const Lease lease = lease_;
  lease_ = Lease();
  NoteConnect();
  RecordTry(*context_->shm, context_->row,
            {lease.slot, fresh_, attempts_ + reused_died_ > 1, response_ns_, attempt_->bytes_sent(),
             attempt_->bytes_received()});
  // Last: the slot may go to another address now.
  context_->group->Report(lease, outcome, response_ns_, context_->loop->now_ns());
  context_->queue->PlaceFreed();
  response_ns_ = 0;
}

void ProxySession::Answer(uint16_t status, uint32_t retry_after_seconds, std::string_view fields) {
  status_ = status;
  ErrorPage page;
  page.status = status;
  page.request_id = request_id_;
  page.json = wants_json_;
  page.retry_after_seconds = status == 503 ? kRetryAfterSeconds : retry_after_seconds;
  page.fields = fields;
  sent_bytes_ = stream_->SendError(page);
  Finish(true);
}

void ProxySession::Finish(bool complete) {
  // However a tunnel ended, its request was answered.
  const bool tunnel = state_ == State::kTunnel;
  const bool answered = complete || tunnel;
  // A tunnel's request was answered when it began; how long it lasted is no response time.
  const uint64_t duration_ns = tunnel ? response_ns_ : context_->loop->now_ns() - begun_ns_;
  Transition(State::kDone);
  context_->queue->Leave(this);
  attempt_->End();
  if (notes_.taken()) LogAccess(complete);  // names the backend, so before its slot may go to another
  EndLease(complete ? Outcome::kSuccess : Outcome::kNeutral);
  head_.Clear();
  body_.Clear();
  if (!tunnel) context_->active--;
  if (counted_retry_) context_->retrying--;
  RecordRequest(*context_->shm, context_->row,
                {status_, answered, client_left_ && !tunnel, duration_ns});
  GiveAttempt();
  config_.reset();
  ServerStream* stream = stream_;
  stream_ = nullptr;
  Transition(State::kFree);
  context_->sessions.Give(this);
  stream->Finish(complete);
}

}  // namespace ub
