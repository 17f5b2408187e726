// The access log's half of ProxySession: what became of a request, in one line.
#include "core/clock.h"
#include "http/proxy_session.h"

namespace ub {

void ProxySession::LogAccess(bool complete) const {
  AccessEntry entry;
  notes_.Fill(&entry);
  std::array<char, PeerAddress::kMaxText> text;
  entry.unix_ms = UnixMs();
  entry.request_id = request_id_;
  entry.client = client_.address.Text(&text);
  // Nothing was answered: the client left, or a drain's deadline passed.
  entry.status = status_ != 0 ? status_ : client_left_ ? kStatusClientLeft : 503;
  entry.bytes_received = body_bytes_;
  entry.bytes_sent = sent_bytes_;
  entry.tries = attempts_ + reused_died_;
  if (last_slot_ != kNoSlot) {
    entry.backend = context_->group->Slot(last_slot_).address_text;
    entry.connect_ns = attempt_->connect_ns();
  }
  if (first_byte_ns_ != 0) entry.first_byte_ns = first_byte_ns_ - notes_.begun_ns();
  entry.total_ns = context_->loop->now_ns() - notes_.begun_ns();
  entry.rate_limit = rate_verdict_;
  entry.complete = complete;
  context_->access_log->Write(entry);
}

}  // namespace ub
