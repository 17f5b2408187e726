// Connections to backends that are kept open between requests, per worker and backend.
//
// Last in, first out: the warmest is used first and surplus ones grow old and go. `auto` keeps as many as the recent
// peak of use needs, trimmed over the idle time. An idle connection that shows any sign of life (the backend closed
// it, or sent something that nobody asked for) is closed. Worker process, single-threaded; O(1) a take and a put.
#ifndef UB_UPSTREAM_KEEPALIVE_POOL_H_
#define UB_UPSTREAM_KEEPALIVE_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/config.h"
#include "core/shm_segment.h"
#include "event/connection.h"

namespace ub {

class KeepalivePool;

// A connection to a backend, with what the pool knows of it. Idle ones are handled by the pool, used ones by whoever
// took them (set_handler on the connection).
class BackendConnection final : public ConnectionHandler {
 public:
  std::unique_ptr<Connection> connection;
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint32_t requests = 0;  // served so far

  // While idle.
  void OnConnected(int) override {}
  void OnReadable() override;
  void OnWritable() override {}
  void OnDeadline() override;

 private:
  friend class KeepalivePool;
  KeepalivePool* pool_ = nullptr;
  uint32_t epoch_ = 0;  // of the pool when it was made
  BackendConnection *newer_ = nullptr, *older_ = nullptr;  // neighbours in the idle list
};

class KeepalivePool {
 public:
  // `row`: this process's row; its idle gauges are kept true here.
  KeepalivePool(EventLoop* loop, ShmSegment* shm, uint32_t row);
  ~KeepalivePool();

  void Configure(const ConnectionPoolConfig& config);

  // An idle connection to that backend; where there is none, or `fresh` is asked for, an object without a Connection,
  // which the caller makes. In use until Put or Discard.
  std::unique_ptr<BackendConnection> Take(uint32_t slot, uint32_t generation, bool fresh);
  // Ends a use: the connection is kept where the limits allow, else closed.
  void Put(std::unique_ptr<BackendConnection> connection);
  // Ends a use: closed. Takes one without a Connection too (the connect failed).
  void Discard(std::unique_ptr<BackendConnection> connection);

  // Closes the idle connections of slots for which `keep(slot, generation)` is false.
  void CloseUnless(const std::function<bool(uint32_t slot, uint32_t generation)>& keep);
  // Closes all idle ones.
  void CloseAll();
  // Connections that were made before are not used again: backends are spoken to in another way now.
  void Renew() {
    epoch_++;
    CloseAll();
  }

  // So many idle connections are kept elsewhere: they stand in the gauge too.
  void CountOther(uint32_t slot, uint32_t idle);

  uint32_t idle(uint32_t slot) const;
  uint32_t in_use(uint32_t slot) const;

 private:
  friend class BackendConnection;
  struct Slot {
    BackendConnection *newest = nullptr, *oldest = nullptr;
    uint32_t idle = 0, in_use = 0;
    uint32_t other = 0;  // idle, and kept elsewhere
    uint32_t peak = 0, last_peak = 0;  // of in_use in this period and the one before
  };
  static void OnPeriod(void* self);
  Slot& At(uint32_t slot);
  std::unique_ptr<BackendConnection> MakeNew(uint32_t slot, uint32_t generation);
  static bool IsQuiet(Connection* connection);
  uint32_t Allowed(const Slot& slot) const;
  void Link(BackendConnection* connection);
  // Takes it out of its list and owns it again.
  std::unique_ptr<BackendConnection> Unlink(BackendConnection* connection);
  void Close(std::unique_ptr<BackendConnection> connection);
  void Trim(Slot* slot);
  void EndUse(uint32_t slot);
  void Publish(uint32_t slot);

  EventLoop* loop_;
  ShmSegment* shm_;
  const uint32_t row_;
  ConnectionPoolConfig config_;
  std::vector<Slot> slots_;
  std::vector<std::unique_ptr<BackendConnection>> spare_;  // objects without a socket, for reuse
  Timer period_;
  bool counting_ = false;
  uint32_t epoch_ = 0;
};

}  // namespace ub

#endif  // UB_UPSTREAM_KEEPALIVE_POOL_H_
