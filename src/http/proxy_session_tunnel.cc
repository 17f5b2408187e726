// The tunnel half of ProxySession: a backend has answered 101, and from here on bytes go both ways until each side has
// ended its direction, or one has broken.
#include <utility>

#include "http/forward_headers.h"
#include "http/proxy_session.h"

namespace ub {

void ProxySession::OfferUpgrade(RequestHead* head) {
  upgrade_.clear();
  // A body would have to be over before the protocol changes (RFC 9110 section 7.8). Nobody sends one, so such a request is
  // answered in HTTP.
  head->upgrade = head->upgrade && head->body != BodyKind::kChunked && head->content_length == 0;
  if (!head->upgrade) return;
  for (const HeaderField& field : head->headers) {
    if (field.id != HeaderId::kUpgrade) continue;
    if (!upgrade_.empty()) upgrade_.push_back(',');
    upgrade_.append(field.value);
  }
  // What a tunnel's beginning did cannot be known: once sent it is not sent again. A kept-alive connection that dies just
  // now would spoil that, so it gets a new one.
  idempotent_ = false;
  fresh_only_ = true;
}

void ProxySession::OnUpgrade(ResponseHead* head, std::string_view data) {
  const char* wrong = nullptr;
  if (!SwitchesTo(head->headers, upgrade_)) {
    wrong = "switched to a protocol that was not asked for";
  } else if (!stream_->TakesSwitch(*head)) {
    wrong = "its Sec-WebSocket-Accept does not answer the request";
  }
  if (wrong != nullptr) {
    attempt_->End();
    OnAttemptFailed(TryFailure::kBadResponse, Status(StatusCode::kProtocol, StatusSource::kBackend, wrong));
    return;
  }
  const uint64_t now = context_->loop->now_ns();
  response_ns_ = now - attempt_->sent_ns();
  status_ = head->status;
  first_byte_ns_ = now;
  sent_bytes_ = data.size();
  head_.Clear();
  body_.Clear();
  body_end_ = backend_ended_ = false;
  // It may last for days: it is no request under way that retries are reckoned by, and must not hold a ticket.
  context_->active--;
  if (std::exchange(counted_retry_, false)) context_->retrying--;
  context_->group->Settle(&lease_, Outcome::kSuccess, response_ns_, now);
  Transition(State::kTunnel);
  stream_->SwitchProtocols(head, config_->forwarded.x_request_id ? std::string_view(request_id_) : std::string_view(),
                           data);
}

void ProxySession::FinishTunnelIfOver() {
  // Closing the backend's connection would drop what it has not taken yet.
  if (body_end_ && backend_ended_ && attempt_->writable()) Finish(true);
}

}  // namespace ub
