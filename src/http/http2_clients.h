// The HTTP/2 connections of one worker to its backends, and the requests that wait for a place on one.
//
// A few a backend: another one is opened where all have as many streams as the backend allows. Idle ones grow old and go,
// those to a backend that has left or changed serve what is under way and go then. One a worker, outlives all attempts;
// single-threaded.
#ifndef UB_HTTP_HTTP2_CLIENTS_H_
#define UB_HTTP_HTTP2_CLIENTS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/http2_attempt.h"
#include "http/http2_fields.h"
#include "upstream/keepalive_pool.h"

namespace ub {

class Http2Client;

class Http2Clients {
 public:
  // `pool` keeps the gauges of idle connections.
  Http2Clients(EventLoop* loop, KeepalivePool* pool);
  ~Http2Clients();

  void Configure(std::shared_ptr<const Config> config) { config_ = std::move(config); }

  // Begins the attempt's stream, or has it wait for one. An error: no connection can be made; it does not wait.
  std::optional<AttemptError> Join(Http2Attempt* attempt);
  // It waits no more.
  void LeaveQueue(Http2Attempt* attempt);
  // Why an attempt that waited too long got no stream.
  Status WhyLate(const Http2Attempt& attempt) const;

  // Connections of slots for which `keep(slot, generation)` is false take no new requests.
  void CloseUnless(const std::function<bool(uint32_t slot, uint32_t generation)>& keep);
  // Nor do those that were made before: backends are spoken to in another way now.
  void Renew();

  size_t connections(uint32_t slot) const { return slot < slots_.size() ? slots_[slot].clients.size() : 0; }
  size_t waiting(uint32_t slot) const { return slot < slots_.size() ? slots_[slot].waiting.size() : 0; }

  // For the connections.
  EventLoop* loop() const { return loop_; }
  const Config& config() const { return *config_; }
  Http2Fields& fields() { return fields_; }  // memory for one call
  void CountIdle(uint32_t slot, bool idle);
  // Whether one more idle connection may be kept.
  bool MayIdle(uint32_t slot) const;
  // Gives places to those that wait. `lost`: why a connection never stood, with `code`.
  void Serve(uint32_t slot, const std::string* lost = nullptr, StatusCode code = StatusCode::kOk);
  void OnClosed(uint32_t slot, Http2Client* client);

 private:
  struct Slot {
    std::vector<std::unique_ptr<Http2Client>> clients;
    std::vector<Http2Attempt*> waiting;  // first come, first served
    uint64_t no_more_until_ns = 0;       // after a connect that failed
    uint32_t idle = 0;
  };
  Slot& At(uint32_t slot);
  static Http2Client* WithRoom(const Slot& slot, uint32_t generation);
  // Whether another connection should be opened for those that wait.
  bool WantsMore(const Slot& slot, uint32_t generation) const;
  static bool AnyUsable(const Slot& slot, uint32_t generation);
  Status OpenFor(uint32_t slot, const Http2Attempt& attempt);
  void FailWaiting(uint32_t slot, const Status& status);

  EventLoop* const loop_;
  KeepalivePool* const pool_;
  std::shared_ptr<const Config> config_;
  Http2Fields fields_;
  std::vector<Slot> slots_;
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_CLIENTS_H_
