#include "http/http1_server.h"

#include <array>

#include "core/clock.h"
#include "core/log.h"
#include "http/proxy_session.h"

namespace ub {
namespace {

// Read at once where a head is expected: of a pipeline, this much is taken in; a body of 16 KiB comes in whole.
constexpr size_t kHeadReadBytes = 32 * 1024;
constexpr uint32_t kLingerMs = 2000;
constexpr int kMaxRounds = 4;  // reads, or requests of a pipeline, before other connections get their turn

Status ClientStatus(StatusCode code, std::string detail) {
  return Status(code, StatusSource::kClient, std::move(detail));
}

}  // namespace

Http1Server::Http1Server(WorkerContext* context, UniqueFd fd, const PeerAddress& peer, bool tls, bool h2c)
    : context_(context),
      connection_(std::make_unique<Connection>(context->loop, std::move(fd), PlainTransport(), this)),
      tls_(tls),
      h2c_(h2c) {
  static_assert(sizeof(Http1Server) <= 96);
  client_.peer = peer;
}

void Http1Server::TakeExchange() {
  if (exchange_ == nullptr) exchange_ = context_->exchanges.Take(&context_->loop->buffers());
}

void Http1Server::GiveExchange() {
  if (exchange_ == nullptr || !exchange_->input.empty()) return;
  exchange_->handler = nullptr;
  exchange_->cursor = HeadCursor();
  context_->exchanges.Give(std::move(exchange_));
}

void Http1Server::SetDeadline(uint32_t ms) { connection_->SetDeadline(context_->loop->now_ns() + MsToNs(ms)); }

void Http1Server::OnReadable() {
  if (processing_) return;
  processing_ = true;
  int rounds = 0;
  while (Round()) {
    if (++rounds == kMaxRounds && state_ != State::kClosed) {
      connection_->ReadSoon();
      break;
    }
  }
  processing_ = false;
}

bool Http1Server::Round() {
  switch (state_) {
    case State::kProxyHead: return ReadProxyHead();
    case State::kHandshake: return false;
    case State::kIdle:
    case State::kHead: return ReadHead();
    case State::kExchange:
      if (connection_->write_error() != 0) {
        FailExchange(ClientStatus(StatusCode::kReset, "the client does not take its response"), false);
        return false;
      }
      if (tunnel_) return ReadTunnel();
      return exchange_->reader.done() ? ClientIsGone() : ReadBody();
    case State::kFlushing:
    case State::kLingering: return DropInput();
    case State::kClosed: return false;
  }
  return false;
}

bool Http1Server::ReadHead() {
  // A client that does not read its responses gets no further ones made.
  if (connection_->congested()) return false;
  if (unparsed_) {
    unparsed_ = false;
    return TakeHead(exchange_->input.data(), exchange_->input.size(), false);
  }
  if (!connection_->readable()) return false;
  TakeExchange();
  const bool in_scratch = exchange_->input.empty();
  char* to = in_scratch ? context_->loop->scratch().data() : exchange_->input.Reserve(kHeadReadBytes / 4);
  const size_t room = in_scratch ? kHeadReadBytes : exchange_->input.room();
  const IoResult result = connection_->Read(to, room);
  if (result.state == IoState::kWouldBlock) {
    if (state_ == State::kIdle) GiveExchange();
    return false;
  }
  if (result.state != IoState::kOk) {  // the client left between requests, or in the middle of a head
    Close();
    return false;
  }
  Add(context_->counters->bytes_received, result.bytes);
  if (state_ == State::kIdle) BeginHead();
  AwaitHead(result.bytes);
  if (in_scratch) return TakeHead(to, result.bytes, true);
  exchange_->input.Commit(result.bytes);
  return TakeHead(exchange_->input.data(), exchange_->input.size(), false);
}

bool Http1Server::TakeHead(char* bytes, size_t count, bool in_scratch) {
  if (state_ == State::kIdle) {  // a pipelined one, there already
    BeginHead();
    AwaitHead(count);
  }
  const LimitsConfig& limits = config().limits;
  const ParseLimits parse_limits{limits.header_bytes, limits.headers, limits.uri_bytes};
  RequestHead* head = &context_->request_head;
  const ParseOutcome outcome = ParseRequestHead({bytes, count}, exchange_->cursor, parse_limits, head);
  if (outcome.verdict == ParseVerdict::kIncomplete) {
    if (in_scratch) exchange_->input.Append({bytes, count});
    connection_->LookAgain();
    return true;
  }
  exchange_->cursor = HeadCursor();
  if (outcome.verdict == ParseVerdict::kBad) {
    if (h2c_ && TryHttp2({bytes, count})) return false;
    Refuse(outcome.status, outcome.reason, {bytes, count});
    return true;
  }
  requests_++;
  client_closes_ = !head->keep_alive;
  keep_alive_ = head->keep_alive;
  minor_zero_ = head->minor_version == 0;
  head_request_ = head->method == Method::kHead;
  head_sent_ = until_close_ = false;
  half_closed_ok_ = connection_->peer_ended();
  exchange_->reader.Begin(head->body, head->content_length);
  if (config().admin.on_main_port && config().admin.enabled && HandOver({bytes, count})) return state_ != State::kClosed;
  StartExchange(bytes + head->bytes, count - head->bytes, in_scratch, head->bytes);
  return true;
}

void Http1Server::StartExchange(char* rest, size_t count, bool in_scratch, size_t head_bytes) {
  state_ = State::kExchange;
  const BodyReader::Piece piece = exchange_->reader.Take(rest, count);
  if (piece.error != nullptr) {
    Refuse(400, piece.error, {rest - head_bytes, head_bytes});
    return;
  }
  // What lies behind this request is kept before anybody can use the scratch memory again.
  if (in_scratch) exchange_->input.Append({rest + piece.consumed, count - piece.consumed});
  unparsed_ = piece.consumed < count;
  if (piece.end) {
    connection_->CancelDeadline();
  } else {
    BeginBody();
  }
  // The head's slices point into exchange_->input if it was not in the scratch memory: the buffer is held until it was used.
  Buffer whole;
  if (!in_scratch) {
    whole = std::move(exchange_->input);
    exchange_->input = Buffer(&context_->loop->buffers());
    const size_t used = head_bytes + piece.consumed;
    if (whole.size() > used) exchange_->input.Append(whole.view().substr(used));
  }
  ProxySession* session = context_->sessions.Take(context_);
  exchange_->handler = session;
  session->Begin(this, &context_->request_head, piece.data, piece.end,
                 piece.end ? exchange_->reader.trailers() : std::string_view());
}

void Http1Server::Refuse(uint16_t status, const char* reason, std::string_view seen) {
  std::array<char, PeerAddress::kMaxText> text;
  Log(LogLevel::kInfo, "client {}: {} ({})", client_.peer.Text(&text), reason, status);
  state_ = State::kExchange;
  keep_alive_ = client_closes_ = false;
  head_request_ = head_sent_ = until_close_ = minor_zero_ = false;
  unparsed_ = false;
  // Framing is lost: nothing more can be read as HTTP.
  exchange_->reader.Begin(BodyKind::kUntilClose, 0);
  ProxySession* session = context_->sessions.Take(context_);
  exchange_->handler = session;
  // What was seen may lie in exchange_->input.
  Buffer held = std::move(exchange_->input);
  exchange_->input = Buffer(&context_->loop->buffers());
  session->Refuse(this, status, seen);
}

bool Http1Server::ReadBody() {
  if (exchange_->handler == nullptr || !exchange_->handler->WantsBody()) return false;
  const std::span<char> scratch = context_->loop->scratch();
  size_t room = scratch.size();
  if (exchange_->reader.kind() == BodyKind::kLength && exchange_->reader.left() + kHeadReadBytes < room) {
    room = static_cast<size_t>(exchange_->reader.left()) + kHeadReadBytes;
  }
  const IoResult result = connection_->Read(scratch.data(), room);
  if (result.state == IoState::kWouldBlock) return false;
  if (result.state != IoState::kOk) {
    FailExchange(ClientStatus(StatusCode::kClosed, "the client left in the middle of its request"), false);
    return false;
  }
  Add(context_->counters->bytes_received, result.bytes);
  const BodyReader::Piece piece = exchange_->reader.Take(scratch.data(), result.bytes);
  if (piece.error != nullptr) {
    keep_alive_ = false;
    FailExchange(ClientStatus(StatusCode::kProtocol, piece.error), true);
    return true;
  }
  if (piece.end) {
    exchange_->input.Append({scratch.data() + piece.consumed, result.bytes - piece.consumed});
    unparsed_ = !exchange_->input.empty();
    half_closed_ok_ = connection_->peer_ended();
    // From here on only the backend is waited for, unless the client does not read what has come of the response.
    if (!connection_->congested()) connection_->CancelDeadline();
  } else {
    AwaitBody(result.bytes);
    connection_->LookAgain();
  }
  exchange_->handler->OnRequestBody(piece.data, piece.end, piece.end ? exchange_->reader.trailers() : std::string_view());
  return true;
}

bool Http1Server::ClientIsGone() {
  // Called for a sign of life while the response is awaited: pipelined bytes stay where they are, an end or an error means
  // that nobody waits for the answer. (A client that ended its direction together with its request is waiting.)
  if (!connection_->readable() || exchange_->handler == nullptr) return false;
  if (connection_->peer_ended() && half_closed_ok_) {
    if (connection_->PendingError() == 0) return false;
  } else if (!connection_->AtEnd()) {
    return false;
  }
  FailExchange(ClientStatus(StatusCode::kClosed, "the client left before its response"), false);
  return false;
}

void Http1Server::FailExchange(const Status& status, bool can_answer) {
  if (exchange_->handler != nullptr) exchange_->handler->OnStreamFailed(status, can_answer && !head_sent_);
}

bool Http1Server::DropInput() {
  const std::span<char> scratch = context_->loop->scratch();
  const IoResult result = connection_->Read(scratch.data(), scratch.size());
  if (result.state == IoState::kOk) return true;
  if (result.state == IoState::kWouldBlock) return false;
  // A client that ended its direction may still be reading the rest of the last response.
  if (state_ == State::kLingering || result.state == IoState::kError || connection_->write_error() != 0) Close();
  return false;
}

void Http1Server::ResumeBody() {
  // The time in which the backend took nothing was not the client's.
  if (!exchange_->reader.done() && !tunnel_) BeginBody();
  if (connection_->readable() || tunnel_) OnReadable();
}

void Http1Server::OnWritable() {
  if (state_ == State::kFlushing) {
    CloseGracefully();
  } else if (state_ == State::kIdle) {
    BecomeIdle();
  } else if (state_ == State::kExchange && exchange_->handler != nullptr) {
    if (exchange_->reader.done() && !tunnel_) connection_->CancelDeadline();
    exchange_->handler->OnStreamWritable();
  }
}

void Http1Server::OnDeadline() {
  switch (state_) {
    case State::kIdle:
      if (connection_->congested()) break;
      Close();
      return;
    case State::kHandshake:
      Add(context_->counters->tls_failures);
      Close();
      return;
    case State::kLingering:
    case State::kProxyHead:
      Close();
      return;
    case State::kHead:
      Refuse(408, "the head did not come in time", exchange_->input.view());
      OnReadable();
      return;
    case State::kFlushing:
      if (connection_->congested()) break;
      Close();
      return;
    case State::kExchange:
      if (!tunnel_) break;
      TunnelDeadline();
      return;
    case State::kClosed:
      return;
  }
  if (connection_->congested()) {
    if (exchange_->progress == connection_->sent_bytes()) {
      if (state_ == State::kExchange) {
        FailExchange(ClientStatus(StatusCode::kTimeout, "the client does not read"), false);
      } else {
        Close();
      }
      return;
    }
    exchange_->progress = connection_->sent_bytes();
  } else if (state_ == State::kExchange && !exchange_->reader.done() && exchange_->handler->WantsBody()) {
    // Who answers before the whole request has come may never want the rest; it is enough that the response moves.
    if (head_sent_ && exchange_->progress != connection_->sent_bytes()) {
      exchange_->progress = connection_->sent_bytes();
    } else {
      keep_alive_ = false;
      FailExchange(ClientStatus(StatusCode::kTimeout, "the body did not come in time"), true);
      return;
    }
  }
  SetDeadline(config().timeout.request_ms);
}

void Http1Server::Finish(bool complete) {
  exchange_->handler = nullptr;
  if (!complete) {
    // Where nothing else marks the end of the response, only a reset tells that it was cut.
    if (until_close_ || connection_->congested()) connection_->ResetOnClose();
    Close();
    return;
  }
  if (connection_->write_error() != 0) {
    Close();
  } else if (keep_alive_ && exchange_->reader.done()) {
    BecomeIdle();
  } else {
    keep_alive_ = false;
    exchange_->input.Clear();
    CloseGracefully();
  }
}

void Http1Server::BecomeIdle() {
  state_ = State::kIdle;
  if (connection_->congested()) {
    exchange_->progress = connection_->sent_bytes();
    SetDeadline(config().timeout.request_ms);
    return;
  }
  SetDeadline(config().timeout.idle_ms);
  GiveExchange();
  // A pipelined request may be here, or an edge that was left unread.
  if (!processing_ && (unparsed_ || connection_->readable())) OnReadable();
}

void Http1Server::CloseGracefully() {
  if (connection_->congested()) {
    state_ = State::kFlushing;
    exchange_->progress = connection_->sent_bytes();
    SetDeadline(config().timeout.request_ms);
    return;
  }
  // A client that announced the end sends nothing more. To any other, closing with its bytes unread would be a reset that
  // can overtake the response.
  if (client_closes_ && exchange_->reader.done()) {
    Close();
    return;
  }
  state_ = State::kLingering;
  connection_->ShutdownWrite();
  SetDeadline(kLingerMs);
  if (!processing_ && connection_->readable()) OnReadable();
}

void Http1Server::Abort() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kExchange && exchange_->handler != nullptr) {
    FailExchange(Status(StatusCode::kUnavailable, StatusSource::kProxy, "the drain's deadline passed"), false);
  } else {
    Close();
  }
}

void Http1Server::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  if (exchange_ != nullptr) exchange_->input.Clear();
  Connection::Retire(std::move(connection_));
  context_->owner->OnServerClosed(this);
}

}  // namespace ub
