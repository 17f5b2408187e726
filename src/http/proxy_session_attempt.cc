// The choice of how ProxySession speaks with the backend that was picked.
#include "http/http2_attempt.h"
#include "http/proxy_session.h"

namespace ub {

UpstreamAttempt::Request ProxySession::AttemptRequest(std::string_view body) const {
  UpstreamAttempt::Request request;
  request.head = head_.view();
  request.body = body;
  request.body_complete = body_end_;
  request.chunked = chunked_;
  request.upgrade = !upgrade_.empty();
  request.te_trailers = te_trailers_;
  request.trailers = trailers_;
  request.method = method_;
  request.address = context_->group->Address(lease_.slot, &request.address_bytes);
  request.slot = lease_.slot;
  request.generation = lease_.generation;
  request.security = {&context_->security, &context_->group->Slot(lease_.slot)};
  return request;
}

void ProxySession::ChooseAttempt() {
  const auto protocol = context_->group->Slot(lease_.slot).protocol.load(std::memory_order_relaxed);
  const bool h2 = protocol == static_cast<uint32_t>(BackendProtocol::kHttp2);
  if (h2 == (attempt_ != &http1_)) return;
  GiveAttempt();
  if (h2) {
    attempt_ = context_->http2_attempts.Take(context_->loop, context_->http2_clients, &context_->response_head, this);
  }
}

void ProxySession::GiveAttempt() {
  if (attempt_ == &http1_) return;
  context_->http2_attempts.Give(static_cast<Http2Attempt*>(attempt_));
  attempt_ = &http1_;
}

void ProxySession::DropBody(std::string_view body) {
  // A backend that speaks HTTP/2 may say that it has not looked at the request. What came with the head is kept for that.
  if (attempt_ != &http1_) {
    if (body_.empty() && replayable_) body_.Append(body);
    return;
  }
  body_.Clear();
  replayable_ = body.empty();
}

}  // namespace ub
