// What a request leaves behind in the shared counters when it is over. Called by proxy_session at
// the end of each try and of each request; worker process, relaxed stores into its own row. Both
// together cost some tens of nanoseconds (t/bench/request_record_bench.cc) and allocate nothing.
#ifndef UB_HTTP_REQUEST_RECORD_H_
#define UB_HTTP_REQUEST_RECORD_H_

#include <cstdint>

#include "core/shm_segment.h"
#include "http/worker_context.h"

namespace ub {

// One try at one backend.
struct TryRecord {
  uint32_t slot = 0;
  bool connected = false;    // over a connection of its own, not a kept-alive one
  bool retry = false;        // not the request's first
  uint64_t response_ns = 0;  // from the send to the response head; 0: none came
  uint64_t bytes_sent = 0, bytes_received = 0;
};

inline void RecordTry(const ShmSegment& shm, uint32_t row, const TryRecord& record) {
  BackendCounters& counters = shm.counters(row, record.slot);
  if (record.connected) Add(counters.connects);
  if (record.retry) Add(counters.retries);
  Add(counters.bytes_sent, record.bytes_sent);
  Add(counters.bytes_received, record.bytes_received);
  if (record.response_ns != 0) shm.latency(row, record.slot).Record(record.response_ns);
}

// A whole request as its client saw it.
struct RequestRecord {
  uint16_t status = 0;         // what the client was told; 0: nothing
  bool complete = false;       // and it was told all of it
  bool client_left = false;    // because it left
  uint64_t duration_ns = 0;    // from the request's head to the end of the answer
};

// Answers below 500 that are complete are successes; the rest is failed (metrics_snapshot.h).
inline void RecordRequest(const ShmSegment& shm, uint32_t row, const RequestRecord& record) {
  ProcessRow& counters = shm.row(row);
  const bool answered = record.complete && record.status >= 100 && record.status <= 599;
  Add(counters.requests);
  Add(counters.responses[answered ? record.status / 100 : 0]);
  if (record.client_left) Add(counters.client_aborts);
  // The time of an answer that never came says nothing of how fast answers are.
  if (answered) shm.latency(row).Record(record.duration_ns);
}

}  // namespace ub

#endif  // UB_HTTP_REQUEST_RECORD_H_
