// What the master still has to send to one child. A child that is stopped (SIGSTOP) or slow never
// blocks the master: what its socket does not take waits here until it is writable.
//
// Master only, one a child. Bounded in practice: of messages that state the present (configuration,
// owners, log files) only the newest is kept.
#ifndef UB_CORE_OUTBOX_H_
#define UB_CORE_OUTBOX_H_

#include <deque>

#include "core/channel.h"
#include "core/status.h"

namespace ub {

class Outbox {
 public:
  // Sends at once where nothing waits, else queues. Error kClosed: the child is gone (its queue is dropped); another: a message
  // could not be sent at all and is dropped, as one whose descriptors could not be copied.
  Status Send(Channel& channel, Message message);
  // Sends what waits, as far as the socket takes it. Errors as Send's.
  Status Flush(Channel& channel);
  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }
  void Clear() { waiting_.clear(); }

 private:
  std::deque<Message> waiting_;
};

}  // namespace ub

#endif  // UB_CORE_OUTBOX_H_
