#include "http/http2_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "core/log.h"
#include "event/tls_digest.h"
#include "http/grpc.h"
#include "http/http2_server.h"
#include "http/proxy_session.h"

namespace ub {
namespace {

// A response's bytes that wait, after which the session makes no more. One piece may come on top: EventLoop::kScratchBytes, or
// all that an Http2Attempt holds, which is up to http2.initial_window_bytes, and as many may wait there anew.
constexpr size_t kBlockedBytes = 16 * 1024;
constexpr size_t kWebSocketKeyBytes = 16;  // RFC 6455 section 4.1

Status ClientStatus(StatusCode code, std::string detail) {
  return Status(code, StatusSource::kClient, std::move(detail));
}

bool IsWebSocketAccept(const HeaderField& field) { return EqualsIgnoreCase(field.name, "sec-websocket-accept"); }

}  // namespace

Http2Stream::Http2Stream(WorkerContext* context)
    : context_(context),
      timer_(context->loop, &Http2Stream::OnTimer, this),
      grpc_timer_(context->loop, &Http2Stream::OnGrpcTimer, this),
      in_(&context->loop->buffers()),
      out_(&context->loop->buffers()) {}

void Http2Stream::Open(Http2Server* server, int32_t id) {
  server_ = server;
  id_ = id;
  queued_ = waiting_ = head_done_ = begun_ = in_trailers_ = wrong_trailers_ = body_ended_ = delivered_ = false;
  bodiless_ = malformed_ = head_request_ = head_sent_ = cut_ = unread_ = false;
  closed_ = both_ended_ = lost_ = grpc_ = connect_ = tunnel_ = false;
  list_bytes_ = received_ = progress_ = 0;
  out_.Reset();
  declared_ = kNoLength;
}

void Http2Stream::Clear() {
  timer_.Cancel();
  grpc_timer_.Cancel();
  DropInput();
  out_.promised = 0;
  DropOutput();
  request_.Clear();
  trailers_.Clear();
  out_.trailers.clear();
  handler_ = nullptr;
}

const ClientInfo& Http2Stream::client() const { return server_->client_; }

std::string_view Http2Stream::Hsts() const {
  return client().tls ? std::string_view(context_->settings.hsts) : std::string_view();
}

void Http2Stream::Work() {
  if ((closed_ && !both_ended_) || lost_) {
    if (handler_ != nullptr) {
      handler_->OnStreamFailed(ClientStatus(StatusCode::kClosed, "the client cancelled its request"), false);
    }
    return;
  }
  if (!head_done_) return;
  if (!begun_) StartExchange();
  Deliver();
}

void Http2Stream::StartExchange() {
  begun_ = true;
  RequestHead* head = &context_->request_head;
  connect_ = request_.websocket();
  if (connect_) {
    std::string id;
    context_->NewRequestId(&id);
    const std::string key = Base64(std::string_view(id).substr(0, kWebSocketKeyBytes));
    request_.set_key(key);
    accept_ = WebSocketAccept(key);
  }
  grpc_ = request_.grpc();
  const ParseOutcome outcome = request_.Finish(bodiless_, server_->Limits(), head);
  const uint32_t most = context_->config->limits.requests_per_connection;
  if (++server_->requests_ >= most && most != 0) server_->Drain();  // more: a reload has lowered it
  if (outcome.verdict != ParseVerdict::kComplete) return Refuse(outcome.status, outcome.reason);
  head_request_ = head->method == Method::kHead;
  if (grpc_) WatchGrpc(*head);
  if (head->body == BodyKind::kLength) declared_ = head->content_length;
  if (const char* wrong = BodyError(); wrong != nullptr) return Refuse(400, wrong);
  // What a client says in a tunnel is no body, and waits until there is one.
  if (connect_) return Begin(head, {}, true);
  delivered_ = body_ended_;
  if (!body_ended_) BeginBody();
  const Buffer body = TakeInput();
  Begin(head, body.view(), delivered_);
}

void Http2Stream::Begin(RequestHead* head, std::string_view body, bool end) {
  ProxySession* session = context_->sessions.Take(context_);
  handler_ = session;
  session->Begin(this, head, body, end, end ? std::string_view(trailers_.text()) : std::string_view());
  request_.Clear();
}

void Http2Stream::Refuse(uint16_t status, const char* reason) {
  std::array<char, PeerAddress::kMaxText> text;
  Log(LogLevel::kInfo, "client {}: {} ({})", client().peer.Text(&text), reason, status);
  malformed_ = status == 400;
  ProxySession* session = context_->sessions.Take(context_);
  handler_ = session;
  session->Refuse(this, status, request_.FirstLine());
  request_.Clear();
}

const char* Http2Stream::BodyError() const {
  if (trailers_.error() != nullptr) return trailers_.error();
  if (wrong_trailers_) return "trailers that do not end the stream";
  if (declared_ == kNoLength) return nullptr;
  if (received_ > declared_) return "more body than was announced";
  return body_ended_ && received_ < declared_ ? "less body than was announced" : nullptr;
}

void Http2Stream::Deliver() {
  if (connect_ && !tunnel_ && handler_ != nullptr) return;
  while (handler_ != nullptr && !delivered_ && (!in_.empty() || body_ended_ || wrong_trailers_)) {
    if (const char* wrong = BodyError(); wrong != nullptr) return FailMalformed(wrong);
    if (!handler_->WantsBody()) return;
    delivered_ = body_ended_;
    const Buffer body = TakeInput();
    handler_->OnRequestBody(body.view(), delivered_, delivered_ ? std::string_view(trailers_.text()) : std::string_view());
  }
  if (handler_ == nullptr) DropInput();
}

void Http2Stream::FailMalformed(const char* reason) {
  std::array<char, PeerAddress::kMaxText> text;
  Log(LogLevel::kInfo, "client {}: {}", client().peer.Text(&text), reason);
  malformed_ = true;
  handler_->OnStreamFailed(ClientStatus(StatusCode::kProtocol, reason), !head_sent_);
}

Buffer Http2Stream::TakeInput() {
  Buffer taken = std::move(in_);
  in_ = Buffer(&context_->loop->buffers());
  server_->held_ -= taken.size();
  // The window opens by as much, as far as there is a window.
  server_->codec_->Consume(closed_ ? 0 : id_, taken.size());
  return taken;
}

void Http2Stream::DropInput() {
  if (!in_.empty()) TakeInput();
}

void Http2Stream::Fail(const Status& status) {
  lost_ = true;
  if (handler_ != nullptr) handler_->OnStreamFailed(status, false);
}

bool Http2Stream::blocked() const {
  return out_.bytes.size() >= kBlockedBytes || server_->buffered_ >= context_->config->http2.buffer_bytes ||
         server_->connection_->congested();
}

bool Http2Stream::congested() const {
  if (!blocked()) return false;
  if (!waiting_) {
    waiting_ = true;
    server_->waiting_.push_back(const_cast<Http2Stream*>(this));
  }
  return true;
}

void Http2Stream::Append(std::string_view data) {
  const bool first = out_.bytes.empty() && !tunnel_;
  out_.bytes.Append(data);
  server_->buffered_ += data.size();
  if (first) progress_ = out_.sent;  // the client has its time from here on, whatever was waited for before
  if (first || !timer_.active()) SetDeadline(context_->config->timeout.request_ms);
}

// What the codec has announced to come must come.
void Http2Stream::DropOutput() {
  Buffer dropped = std::move(out_.bytes);
  out_.bytes = Buffer(&context_->loop->buffers());
  server_->buffered_ -= dropped.size();
  if (out_.promised > 0) Append(dropped.view().substr(0, out_.promised));
}

void Http2Stream::SendInterim(ResponseHead* head) {
  Http2Fields& fields = server_->fields_;
  fields.Clear();
  fields.AddResponse(head, {}, context_->config->forwarded.via, {});
  server_->codec_->SendInterim(id_, fields.fields());
  server_->FlushSoon();
}

void Http2Stream::SendHead(ResponseHead* head, std::string_view request_id, std::string_view data, bool end) {
  head_sent_ = true;
  out_.end = end;
  // To a CONNECT it would mean that the tunnel stands.
  if (connect_ && head->status / 100 == 2) head->status = 502;
  Http2Fields& fields = server_->fields_;
  fields.Clear();
  fields.AddResponse(head, request_id, context_->config->forwarded.via, Hsts());
  const bool body = !end || !data.empty();
  server_->codec_->SendHead(id_, fields.fields(), body);
  if (body) Append(data);
  server_->FlushSoon();
}

void Http2Stream::SendBody(std::string_view data, bool end, std::string_view trailers) {
  out_.end = end;
  out_.trailers.assign(trailers);
  Append(data);
  if (tunnel_) SetDeadline(context_->config->timeout.idle_ms);
  if (out_.deferred && (end || !data.empty())) {
    out_.deferred = false;
    server_->codec_->ResumeBody(id_);
  }
  server_->FlushSoon();
}

// The client of an extended CONNECT sent no key: what a browser would check, whether the backend speaks WebSocket at all and
// answers this request (RFC 6455 section 4.1), is left to us.
bool Http2Stream::TakesSwitch(const ResponseHead& head) const {
  const auto accept = std::find_if(head.headers.begin(), head.headers.end(), IsWebSocketAccept);
  return accept != head.headers.end() && accept->value == accept_;
}

// RFC 8441 section 5.
void Http2Stream::SwitchProtocols(ResponseHead* head, std::string_view request_id, std::string_view data) {
  head_sent_ = tunnel_ = true;
  head->status = 200;
  std::erase_if(head->headers, IsWebSocketAccept);
  Http2Fields& fields = server_->fields_;
  fields.Clear();
  fields.AddResponse(head, request_id, context_->config->forwarded.via, Hsts());
  server_->codec_->SendHead(id_, fields.fields(), true);
  Append(data);
  SetDeadline(context_->config->timeout.idle_ms);
  server_->Mark(this);
  server_->FlushSoon();
}

size_t Http2Stream::SendError(ErrorPage page) {
  head_sent_ = out_.end = true;
  if (grpc_ && !malformed_) return SendGrpcError(page);
  page.close = false;
  page.head_only = head_request_;
  const std::string own = std::string(page.fields) + std::string(Hsts());
  page.fields = own;
  const std::string text = RenderErrorPage(page);
  const std::string_view whole = text;
  const size_t lines = whole.find("\r\n") + 2;
  const std::string_view body = whole.substr(whole.find("\r\n\r\n") + 4);
  Http2Fields& fields = server_->fields_;
  fields.Clear();
  fields.Status(page.status);
  fields.AddLines(whole.substr(lines));
  const bool has_body = !body.empty() || malformed_;
  server_->codec_->SendHead(id_, fields.fields(), has_body);
  if (has_body) Append(body);
  server_->FlushSoon();
  return body.size();
}

void Http2Stream::WatchGrpc(const RequestHead& head) {
  const std::optional<uint64_t> timeout = GrpcTimeoutNs(head.headers);
  if (timeout && *timeout < MsToNs(context_->config->timeout.request_ms)) {
    grpc_timer_.Set(context_->loop->now_ns() + *timeout);
  }
}

// Once the response has begun, its end is the backend's and the client's business.
void Http2Stream::OnGrpcTimer(void* self) {
  auto* stream = static_cast<Http2Stream*>(self);
  if (stream->handler_ == nullptr || stream->head_sent_ || stream->closed_) return;
  stream->handler_->OnStreamFailed(Status(StatusCode::kTimeout, StatusSource::kProxy, "its grpc-timeout has passed"), true);
}

// A head that is trailers at once ("Trailers-Only").
size_t Http2Stream::SendGrpcError(const ErrorPage& page) {
  const std::string lines = fmt::format("content-type: application/grpc\r\ngrpc-status: {}\r\ngrpc-message: {}\r\n{}{}",
                                        GrpcStatusOf(page.status), ReasonPhrase(page.status), page.fields, Hsts());
  Http2Fields& fields = server_->fields_;
  fields.Clear();
  fields.Status(200);
  fields.AddLines(lines);
  if (!page.request_id.empty()) fields.Add("x-request-id", page.request_id, true);
  server_->codec_->SendHead(id_, fields.fields(), false);
  server_->FlushSoon();
  return 0;
}

void Http2Stream::ResumeBody() {
  // The time in which the backend took nothing was not the client's.
  if (!body_ended_ && !connect_) BeginBody();
  if (!delivered_) server_->Mark(this);
}

void Http2Stream::Finish(bool complete) {
  handler_ = nullptr;
  DropInput();
  if (lost_) {
    DropOutput();
  } else if (!closed_) {
    if (!complete) Cut();
    // Nobody else waits any more for the client to take what is left, be it the stream's end alone.
    progress_ = out_.sent;
    SetDeadline(tunnel_ ? context_->config->timeout.idle_ms : context_->config->timeout.request_ms);
  }
  server_->Mark(this);
}

// What has been said is still sent where the client takes it, and an error in place of the end.
void Http2Stream::Cut() {
  if (!head_sent_ || unread_ || blocked()) {
    DropOutput();
    server_->codec_->Reset(id_, unread_ ? Http2Error::kCancel : EndError());
    return;
  }
  cut_ = out_.end = true;
  if (out_.deferred) server_->codec_->ResumeBody(id_);
  out_.deferred = false;
}

Http2Error Http2Stream::EndError() const {
  if (malformed_) return Http2Error::kProtocol;
  if (tunnel_ && cut_) return Http2Error::kCancel;
  return cut_ || !head_sent_ || !out_.end ? Http2Error::kInternal : Http2Error::kNone;
}

void Http2Stream::SetDeadline(uint32_t ms) { timer_.Set(context_->loop->now_ns() + MsToNs(ms)); }

void Http2Stream::BeginBody() {
  rate_.Begin(context_->loop->now_ns(), MsToNs(context_->config->timeout.request_ms));
  AwaitBody(0);
}

void Http2Stream::AwaitBody(size_t came) {
  if (connect_) {
    if (tunnel_) SetDeadline(context_->config->timeout.idle_ms);
    return;
  }
  const uint64_t now = context_->loop->now_ns();
  timer_.Set(rate_.Await(came, context_->config->limits.min_rate_bytes, now,
                         now + MsToNs(context_->config->timeout.request_ms)));
}

void Http2Stream::OnTimer(void* self) { static_cast<Http2Stream*>(self)->OnDeadline(); }

void Http2Stream::OnDeadline() {
  if (closed_ || lost_) return;
  // What waits behind other bytes in the connection is watched there.
  const bool moved = progress_ != out_.sent || (out_.bytes.empty() && server_->connection_->congested());
  progress_ = out_.sent;
  // Its end may wait for a window where no byte does.
  if (!out_.bytes.empty() || handler_ == nullptr) {
    if (!moved && handler_ != nullptr) {
      unread_ = true;
      handler_->OnStreamFailed(ClientStatus(StatusCode::kTimeout, "the client does not read"), false);
      return;
    }
    if (!moved) {
      DropOutput();
      server_->codec_->Reset(id_, Http2Error::kCancel);
      server_->FlushSoon();
      return;
    }
  } else if (tunnel_ && handler_ != nullptr) {
    handler_->OnStreamFailed(ClientStatus(StatusCode::kTimeout, "nothing was said in a tunnel"), false);
    return;
  } else if (connect_) {
    return;
  } else if (handler_ != nullptr && !body_ended_ && handler_->WantsBody()) {
    // Who answers before the whole request has come may never want the rest. And a client whose window is full of what
    // other streams hold cannot send.
    const bool may_send = server_->held_ < context_->config->http2.connection_window_bytes / 2;
    if (may_send && !(head_sent_ && moved)) {
      handler_->OnStreamFailed(ClientStatus(StatusCode::kTimeout, "the body did not come in time"), !head_sent_);
      return;
    }
  } else if (body_ended_) {
    return;  // only the backend is waited for
  }
  SetDeadline(context_->config->timeout.request_ms);
}

}  // namespace ub
