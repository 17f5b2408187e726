// The tunnel half of Http1Server: after a 101 the connection carries bytes that are not HTTP any more (RFC 9110 section
// 7.8). Each direction ends on its own; what moves, either way, moves the idle deadline.
#include <array>

#include "http/http1_server.h"

namespace ub {

void Http1Server::SwitchProtocols(ResponseHead* head, std::string_view request_id, std::string_view data) {
  head_sent_ = true;
  tunnel_ = true;
  keep_alive_ = client_closes_ = false;
  until_close_ = true;
  exchange_->writer.Begin(false);
  exchange_->reader.Begin(BodyKind::kUntilClose, 0);
  Buffer out(&context_->loop->buffers());
  WriteForwardedResponse(head, Framing(), ConnectionOption::kUpgrade, request_id, config().forwarded.via, &out);
  const std::array<iovec, 2> pieces = {
      {{out.data(), out.size()}, {const_cast<char*>(data.data()), data.size()}}};
  Send(pieces);
  SetDeadline(config().timeout.idle_ms);
  // What the client sent along with its request waits, and must not wait for more to come. Not from here: the caller is
  // in the middle of the backend's bytes.
  connection_->ReadSoon();
}

bool Http1Server::ReadTunnel() {
  if (exchange_->handler == nullptr) return false;
  if (client_closes_) {
    // It ended its direction before. An error now means that it takes nothing any more either.
    if (connection_->PendingError() == 0) return false;
    FailExchange(Status(StatusCode::kReset, StatusSource::kClient, "the client left its tunnel"), false);
    return false;
  }
  if (!exchange_->handler->WantsBody()) return false;
  if (!exchange_->input.empty()) {
    const Buffer early = std::move(exchange_->input);
    exchange_->input = Buffer(&context_->loop->buffers());
    unparsed_ = false;
    exchange_->handler->OnRequestBody(early.view(), false, {});
    return true;
  }
  const std::span<char> scratch = context_->loop->scratch();
  const IoResult result = connection_->Read(scratch.data(), scratch.size());
  switch (result.state) {
    case IoState::kWouldBlock:
      return false;
    case IoState::kError:
      FailExchange(Status(StatusCode::kReset, StatusSource::kClient, "the client broke its tunnel"), false);
      return false;
    case IoState::kEof:
      client_closes_ = true;
      exchange_->reader.Begin(BodyKind::kNone, 0);
      exchange_->handler->OnRequestBody({}, true, {});
      return false;
    case IoState::kOk:
      break;
  }
  Add(context_->counters->bytes_received, result.bytes);
  SetDeadline(config().timeout.idle_ms);
  connection_->LookAgain();
  exchange_->handler->OnRequestBody({scratch.data(), result.bytes}, false, {});
  return true;
}

void Http1Server::TunnelDeadline() {
  // A slow reader is not a silent one; and one that waits for the backend to take its bytes is watched from there.
  const bool moved = connection_->congested() && exchange_->progress != connection_->sent_bytes();
  if (moved || !exchange_->handler->WantsBody()) {
    exchange_->progress = connection_->sent_bytes();
    SetDeadline(config().timeout.idle_ms);
    return;
  }
  FailExchange(Status(StatusCode::kTimeout, StatusSource::kClient, "nothing went through the tunnel in time"), false);
}

}  // namespace ub
