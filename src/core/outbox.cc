#include "core/outbox.h"

#include <algorithm>
#include <utility>

namespace ub {

namespace {

// A newer one makes an older one of the same type meaningless.
bool StatesThePresent(MessageType type) {
  return type == MessageType::kConfig || type == MessageType::kOwners ||
         type == MessageType::kReopen;
}

}  // namespace

Status Outbox::Send(Channel& channel, Message message) {
  if (StatesThePresent(message.type)) {
    std::erase_if(waiting_, [&](const Message& older) { return older.type == message.type; });
  }
  // Nothing that is queued matters to a child that must leave at once.
  if (message.type == MessageType::kStop) waiting_.clear();
  waiting_.push_back(std::move(message));
  return Flush(channel);
}

Status Outbox::Flush(Channel& channel) {
  Status status = Status::Ok();
  while (!waiting_.empty()) {
    Result<bool> sent = channel.Send(waiting_.front());
    if (!sent) status = sent.error();
    if (status.code() == StatusCode::kClosed) {
      waiting_.clear();
      break;
    }
    if (sent && !*sent) break;
    waiting_.pop_front();
  }
  return status;
}

}  // namespace ub
