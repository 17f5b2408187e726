// A try by HTTP/1.1: a connection (kept-alive or new) that is this request's alone until both messages are over.
//
// Part of its session. Worker process; allocates nothing with a pooled connection.
#ifndef UB_HTTP_HTTP1_ATTEMPT_H_
#define UB_HTTP_HTTP1_ATTEMPT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "event/connection.h"
#include "http/body.h"
#include "http/http1_parser.h"
#include "http/upstream_attempt.h"
#include "upstream/keepalive_pool.h"

namespace ub {

class Http1Attempt final : public ConnectionHandler, public UpstreamAttempt {
 public:
  // `head` is memory for parsing; all three outlive the attempt.
  Http1Attempt(EventLoop* loop, KeepalivePool* pool, ResponseHead* head, AttemptHandler* handler)
      : UpstreamAttempt(loop, head, handler), pool_(pool), input_(&loop->buffers()) {}

  std::optional<AttemptError> Start(const Request& request, const Config* config, bool allow_reuse) override;
  void SendBody(std::string_view data, bool end, std::string_view trailers) override;
  bool writable() const override { return state_ == State::kActive && !link_->connection->congested(); }
  void Resume() override;
  void End() override;

  void OnConnected(int error) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnDeadline() override;

 private:
  Result<std::unique_ptr<Connection>> Connect(const Request& request, bool* connected);
  void Send();
  void ReadOnce();
  void TakeHead(char* bytes, size_t count);
  void TakeBody(char* bytes, size_t count);
  void TakeUpgrade(char* bytes, size_t count);
  void AtEnd(int error);
  void Fail(TryFailure failure, StatusCode code, std::string detail);
  void CountSent();
  void Progress();

  KeepalivePool* pool_;
  std::unique_ptr<BackendConnection> link_;
  bool request_done_ = false;    // everything was handed to the connection
  bool keep_alive_ = false;      // the response allows another request
  bool reading_ = false;         // in OnReadable, to keep Resume from recursing
  uint32_t sent_mark_ = 0;       // the connection's sent_bytes() when bytes_sent_ was last counted
  uint32_t progress_ = 0;        // bytes that the backend had taken when the deadline was last looked at
  BodyReader reader_;
  BodyWriter writer_;
  HeadCursor cursor_;
  Buffer input_;  // an unfinished response head
};

}  // namespace ub

#endif  // UB_HTTP_HTTP1_ATTEMPT_H_
