// What every connection and session of one worker shares: the loop, the segment, the pool of backends, the configuration
// in force. One a worker, outlives them all; single-threaded.
#ifndef UB_HTTP_WORKER_CONTEXT_H_
#define UB_HTTP_WORKER_CONTEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "core/client_places.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/random.h"
#include "core/shm_segment.h"
#include "core/network_set.h"
#include "event/event_loop.h"
#include "event/tls_context.h"
#include "http/http1_exchange.h"
#include "http/http2_attempt.h"
#include "http/http2_stream.h"
#include "http/request_key.h"
#include "http/request_stage.h"
#include "upstream/backend_security.h"
#include "upstream/keepalive_pool.h"
#include "upstream/upstream_group.h"

namespace ub {

class AccessLog;
class ProxySession;
class ServerOwner;
class RequestQueue;

// Adds to a counter that only this process writes: no locked instruction is needed.
inline void Add(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

// Sessions, reused. One that is done is free again at the end of the turn, when none of its calls is on the stack.
class SessionPool {
 public:
  SessionPool();
  ~SessionPool();
  ProxySession* Take(struct WorkerContext* context);
  void Give(ProxySession* session) { done_.push_back(session); }
  void Recycle();
  size_t allocated() const { return all_.size(); }

 private:
  std::vector<std::unique_ptr<ProxySession>> all_;
  std::vector<ProxySession*> free_, done_;
};

// What is worked out from the configuration once a reload, for the beginning of each request.
struct RequestSettings {
  NetworkSet trust;        // forwarded.trust
  NetworkSet proxy_trust;  // proxy_protocol.trust
  RequestKey hash_key;
  std::string hsts;  // the line for responses over TLS; empty: none
};

// Connections beyond limits.connections_per_client, or handshakes that failed, for their line in the log.
struct RefusedClients {
  uint64_t logged_ns = 0;
  uint64_t count = 0;  // since then
};

struct WorkerContext {
  EventLoop* loop = nullptr;
  ServerOwner* owner = nullptr;
  ShmSegment* shm = nullptr;
  uint32_t row = 0;
  ProcessRow* counters = nullptr;
  UpstreamGroup* group = nullptr;
  KeepalivePool* pool = nullptr;
  Http2Clients* http2_clients = nullptr;
  const ClientPlaces* places = nullptr;
  RefusedClients refused_clients, failed_handshakes;
  AccessLog* access_log = nullptr;
  RequestQueue* queue = nullptr;
  Random random{0};
  bool draining = false;
  int handover_fd = -1;  // where clients of management paths are sent; see management_handover.h
  uint32_t active = 0;    // requests under way
  uint32_t retrying = 0;  // of them on their second or later try

  // Requests begin with this one and keep it to their end.
  std::shared_ptr<const Config> config;
  BackendSecurity security;                     // of connections to backends
  std::shared_ptr<const TlsServerContext> tls;  // null: there is no certificate
  RequestSettings settings;
  RequestStages stages;

  // Memory for parsing, valid within one callback.
  RequestHead request_head;
  ResponseHead response_head;
  SessionPool sessions;
  Http1ExchangePool exchanges{1024};
  Http2StreamPool http2_streams{1024};
  Http2AttemptPool http2_attempts;

  // 32 hex digits.
  void NewRequestId(std::string* out);
};

}  // namespace ub

#endif  // UB_HTTP_WORKER_CONTEXT_H_
