#include "http/http1_attempt.h"

#include <array>

#include "core/clock.h"
#include "core/prefetch.h"

namespace ub {
namespace {

// Reads in a row before other connections of the worker get their turn: 256 KiB, so that a hundred large bodies delay a small
// request by milliseconds.
constexpr int kMaxRounds = 2;
constexpr size_t kHeadReadBytes = 4096;

Status BackendStatus(StatusCode code, std::string detail) {
  return Status(code, StatusSource::kBackend, std::move(detail));
}

}  // namespace

Result<std::unique_ptr<Connection>> Http1Attempt::Connect(const Request& request, bool* connected) {
  std::unique_ptr<Transport> transport;
  const auto& [security, backend] = request.security;
  if (security != nullptr && security->enabled()) {
    transport = security->NewTransport(*backend);
    if (transport == nullptr) return ub::Fail(Status(StatusCode::kExhausted, StatusSource::kProxy, "no memory for TLS"));
  }
  return Connection::Connect(loop_, request.address, request.address_bytes, this, connected, std::move(transport));
}

std::optional<AttemptError> Http1Attempt::Start(const Request& request, const Config* config, bool allow_reuse) {
  request_ = request;
  config_ = config;
  head_done_ = any_byte_ = request_done_ = response_done_ = keep_alive_ = tunnel_ = false;
  cursor_ = HeadCursor();
  progress_ = sent_mark_ = 0;
  connect_ns_ = kNoConnect;
  bytes_sent_ = bytes_received_ = 0;
  link_ = pool_->Take(request.slot, request.generation, !allow_reuse);
  reused_ = link_->connection != nullptr;
  bool connected = true;
  if (reused_) {
    link_->connection->set_handler(this);
    sent_mark_ = link_->connection->sent_bytes();
  } else {
    auto made = Connect(request, &connected);
    if (!made) {
      pool_->Discard(std::move(link_));
      return AttemptError{TryFailure::kConnect, std::move(made.error())};
    }
    link_->connection = std::move(*made);
  }
  if (!reused_ && connected) connect_ns_ = 0;
  if (!connected) {
    state_ = State::kConnecting;
    started_ns_ = loop_->now_ns();
    link_->connection->SetDeadline(loop_->now_ns() + MsToNs(config_->timeout.connect_ms));
    return std::nullopt;
  }
  state_ = State::kActive;
  Send();
  if (reused_ && link_->connection->write_error() != 0) {
    run_++;
    state_ = State::kIdle;
    pool_->Discard(std::move(link_));
    return AttemptError{TryFailure::kReusedDied, BackendStatus(StatusCode::kReset, "kept-alive connection had ended")};
  }
  return std::nullopt;
}

void Http1Attempt::Send() {
  std::array<iovec, 1 + BodyWriter::kMaxPieces> pieces;
  pieces[0] = {const_cast<char*>(request_.head.data()), request_.head.size()};
  size_t count = 1;
  writer_.Begin(request_.chunked);
  if (!request_.body.empty() || (request_.chunked && request_.body_complete)) {
    count += writer_.Frame(request_.body, request_.body_complete, request_.trailers,
                           std::span(pieces).subspan<1, BodyWriter::kMaxPieces>());
  }
  request_done_ = request_.body_complete;
  sent_ns_ = loop_->now_ns();
  // A failure shows at the next read, after whatever the backend had to say before it.
  (void)link_->connection->Write(std::span<const iovec>(pieces.data(), count));
  Progress();
}

void Http1Attempt::SendBody(std::string_view data, bool end, std::string_view trailers) {
  std::array<iovec, BodyWriter::kMaxPieces> pieces;
  const size_t count = writer_.Frame(data, end, trailers, pieces);
  request_done_ = end;
  if (end) sent_ns_ = loop_->now_ns();
  if (count > 0) (void)link_->connection->Write(std::span<const iovec>(pieces.data(), count));
  if (tunnel_ && end) link_->connection->ShutdownWrite();
  Progress();
}

void Http1Attempt::CountSent() {
  const uint32_t now = link_->connection->sent_bytes();
  bytes_sent_ += now - sent_mark_;
  sent_mark_ = now;
}

void Http1Attempt::Progress() {
  CountSent();
  if (tunnel_) {
    // The client's side watches for silence. What only this side sees is a backend that takes nothing.
    if (link_->connection->congested()) {
      link_->connection->SetDeadline(loop_->now_ns() + MsToNs(config_->timeout.idle_ms));
    } else {
      link_->connection->CancelDeadline();
    }
    return;
  }
  link_->connection->SetDeadline(loop_->now_ns() + MsToNs(config_->timeout.request_ms));
}

void Http1Attempt::End() {
  if (state_ == State::kIdle) return;
  run_++;
  state_ = State::kIdle;
  input_.Clear();
  CountSent();
  link_->requests++;
  if (request_done_ && response_done_ && keep_alive_) {
    pool_->Put(std::move(link_));
  } else {
    // A tunnel that was cut must not look like one that ended.
    if (tunnel_ && !(request_done_ && response_done_)) link_->connection->ResetOnClose();
    pool_->Discard(std::move(link_));
  }
}

void Http1Attempt::Fail(TryFailure failure, StatusCode code, std::string detail) {
  keep_alive_ = false;
  End();
  handler_->OnAttemptFailed(failure, BackendStatus(code, std::move(detail)));
}

void Http1Attempt::OnConnected(int error) {
  if (error != 0) {
    const StatusCode code = error == ETIMEDOUT ? StatusCode::kTimeout : StatusCode::kRefused;
    std::string failure = link_->connection->transport().FailureText();
    Fail(TryFailure::kConnect, code,
         failure.empty() ? Status::System("connect", error).detail() : "TLS handshake: " + failure);
    return;
  }
  state_ = State::kActive;
  connect_ns_ = loop_->now_ns() - started_ns_;
  Send();
  handler_->OnAttemptWritable();
}

void Http1Attempt::OnWritable() {
  Progress();
  handler_->OnAttemptWritable();
}

void Http1Attempt::OnDeadline() {
  Connection* connection = link_->connection.get();
  if (state_ == State::kConnecting) {
    Fail(TryFailure::kConnect, StatusCode::kTimeout, "no connection in time");
    return;
  }
  // Waiting for the client, to send or to read, is not the backend's fault; the client's own deadline watches that.
  // Who waits for its client to read may take no more of the request meanwhile. In a tunnel both would wait for each other.
  const bool moved = progress_ != connection->sent_bytes(), unread = !tunnel_ && !handler_->WantsResponse();
  const bool client_slow = unread || (connection->congested() || tunnel_ ? moved : !request_done_);
  if (client_slow) {
    progress_ = connection->sent_bytes();
    Progress();
    return;
  }
  Fail(TryFailure::kTimeout, StatusCode::kTimeout, head_done_ ? "no more of the response in time" : "no response in time");
}

void Http1Attempt::Resume() {
  if (state_ == State::kActive && !reading_ && link_->connection->readable()) OnReadable();
}

void Http1Attempt::OnReadable() {
  if (reading_ || state_ != State::kActive) return;
  if (response_done_) {
    // The backend ended its direction of a tunnel before. An error now means that it takes nothing any more either.
    if (link_->connection->PendingError() != 0) {
      Fail(TryFailure::kReset, StatusCode::kReset, "connection reset in a tunnel");
    }
    return;
  }
  if (!head_done_) {
    Prefetch(this, sizeof *this);
    Prefetch(link_.get(), sizeof *link_);
    handler_->Warm();
  }
  reading_ = true;
  const uint32_t run = run_;
  for (int round = 0; run == run_ && link_->connection->readable(); ++round) {
    // Interim heads count too: they are sent on, and there may be any number of them.
    if (response_done_ || !handler_->WantsResponse()) break;
    if (round == kMaxRounds) {
      link_->connection->ReadSoon();
      break;
    }
    ReadOnce();
  }
  reading_ = false;
}

void Http1Attempt::ReadOnce() {
  const bool partial_head = !input_.empty();
  char* to;
  size_t room;
  if (partial_head) {
    to = input_.Reserve(kHeadReadBytes);
    room = input_.room();
  } else {
    to = loop_->scratch().data();
    room = loop_->scratch().size();
  }
  const IoResult result = link_->connection->Read(to, room);
  if (result.state == IoState::kWouldBlock) {
    if (link_->connection->write_error() != 0) AtEnd(link_->connection->write_error());
    return;
  }
  if (result.state != IoState::kOk) {
    AtEnd(result.state == IoState::kEof ? 0 : result.error);
    return;
  }
  any_byte_ = true;
  bytes_received_ += result.bytes;
  Progress();
  const uint32_t run = run_;
  if (partial_head) {
    input_.Commit(result.bytes);
    Buffer whole = std::move(input_);  // it must outlive what is called with slices of it
    input_ = Buffer(&loop_->buffers());
    TakeHead(whole.data(), whole.size());
  } else if (!head_done_) {
    TakeHead(to, result.bytes);
  } else {
    TakeBody(to, result.bytes);
  }
  // More must come; a reset that came with these bytes would tell by no edge that it will not.
  if (run == run_) link_->connection->LookAgain();
}

void Http1Attempt::TakeHead(char* bytes, size_t count) {
  const ParseLimits limits{config_->limits.header_bytes, config_->limits.headers, config_->limits.uri_bytes};
  const uint32_t run = run_;
  for (;;) {
    const ParseOutcome outcome = ParseResponseHead({bytes, count}, cursor_, limits, request_.method, head_);
    if (outcome.verdict == ParseVerdict::kBad) {
      Fail(TryFailure::kBadResponse, StatusCode::kProtocol, outcome.reason);
      return;
    }
    if (outcome.verdict == ParseVerdict::kIncomplete) {
      input_.Append({bytes, count});
      return;
    }
    cursor_ = HeadCursor();
    bytes += head_->bytes;
    count -= head_->bytes;
    if (head_->status == 101) {
      TakeUpgrade(bytes, count);
      return;
    }
    if (head_->status >= 200) break;
    handler_->OnInterim(head_);
    if (run != run_ || count == 0) return;
  }
  reader_.Begin(head_->body, head_->content_length);
  const BodyReader::Piece piece = reader_.Take(bytes, count);
  if (piece.error != nullptr) {
    Fail(TryFailure::kBadResponse, StatusCode::kProtocol, piece.error);
    return;
  }
  head_done_ = true;
  response_done_ = piece.end;
  // More than the response asked for is a backend that cannot be trusted with another request.
  keep_alive_ = head_->keep_alive && (!piece.end || piece.consumed == count);
  if (piece.end && reader_.kind() == BodyKind::kChunked) {
    // Trailers follow the last piece of data, whatever was taken at once.
    const std::string_view trailers = reader_.trailers();
    handler_->OnResponse(head_, piece.data, trailers.empty());
    if (!trailers.empty() && run == run_) handler_->OnResponseBody({}, true, trailers);
    return;
  }
  handler_->OnResponse(head_, piece.data, piece.end);
}

void Http1Attempt::TakeUpgrade(char* bytes, size_t count) {
  if (!request_.upgrade) {
    Fail(TryFailure::kBadResponse, StatusCode::kProtocol, "an upgrade that was not asked for");
    return;
  }
  reader_.Begin(BodyKind::kUntilClose, 0);
  head_done_ = tunnel_ = true;
  keep_alive_ = request_done_ = false;
  Progress();
  handler_->OnUpgrade(head_, {bytes, count});
}

void Http1Attempt::TakeBody(char* bytes, size_t count) {
  const BodyReader::Piece piece = reader_.Take(bytes, count);
  if (piece.error != nullptr) {
    Fail(TryFailure::kBadResponse, StatusCode::kProtocol, piece.error);
    return;
  }
  response_done_ = piece.end;
  if (piece.consumed != count) keep_alive_ = false;
  handler_->OnResponseBody(piece.data, piece.end, piece.end ? reader_.trailers() : std::string_view());
}

void Http1Attempt::AtEnd(int error) {
  if (head_done_ && error == 0 && reader_.kind() == BodyKind::kUntilClose) {
    response_done_ = true;
    keep_alive_ = false;
    handler_->OnResponseBody({}, true, {});
    return;
  }
  const TryFailure failure = reused_ && !any_byte_ ? TryFailure::kReusedDied : TryFailure::kReset;
  const char* where = head_done_ ? " in the middle of the response" : any_byte_ ? " in the middle of the head" : " before a response";
  Fail(failure, error != 0 ? StatusCode::kReset : StatusCode::kClosed,
       std::string(error != 0 ? "connection reset" : "connection closed") + where);
}

}  // namespace ub
