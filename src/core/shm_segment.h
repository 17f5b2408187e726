// The one shared segment: a memfd that the master makes before any fork and that every child
// inherits mapped.
//
// Owner: the master, for its life; children hold the inherited mapping for theirs. No lock
// anywhere. Regions: header, process rows, socket owners, backend slots, in-flight gauges,
// half-open tickets, idle gauges, backend counters, histograms, rate limiter, client
// addresses. Gauges are u32 [process][backend], rows padded to cache lines: a row has one writer.
// Untouched pages cost nothing.
#ifndef UB_CORE_SHM_SEGMENT_H_
#define UB_CORE_SHM_SEGMENT_H_

#include <bit>
#include <cstdint>

#include "core/rate_table.h"
#include "core/shm_layout.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

class ShmSegment {
 public:
  // The size of a segment in bytes; most of it is never touched and takes no memory.
  static size_t BytesFor(const ShmLimits& limits);
  // Makes and maps a new segment. Errors: kInvalid for capacities out of range, kSystem.
  static Result<ShmSegment> Create(const ShmLimits& limits);
  // Maps a segment that another process made (binary upgrade, tests). `fd` is taken over.
  // Errors: kInvalid where it is no segment or of another layout version.
  static Result<ShmSegment> Attach(UniqueFd fd);

  ShmSegment(ShmSegment&& other) noexcept;
  ShmSegment& operator=(ShmSegment&& other) noexcept;
  ~ShmSegment();

  ShmHeader& header() const { return *header_; }
  uint32_t processes() const { return header_->total_processes; }
  uint32_t backends() const { return header_->total_backends; }
  uint32_t rate_entries() const { return header_->total_rate_entries; }
  uint32_t sockets() const { return header_->total_sockets; }
  size_t bytes() const { return bytes_; }
  int fd() const { return fd_.get(); }

  ProcessRow& row(uint32_t r) const { return rows_[r]; }
  BackendSlot& slot(uint32_t b) const { return slots_[b]; }
  // Row of the process that accepts from listening socket `s`; kNoRow: nobody.
  std::atomic<uint32_t>& socket_owner(uint32_t s) const { return owners_[s]; }
  // Requests in flight from process `r` to backend `b`.
  std::atomic<uint32_t>& in_flight(uint32_t r, uint32_t b) const {
    return in_flight_[r * stride_ + b];
  }
  // Half-open tickets of the circuit breaker that process `r` holds at backend `b`. A gauge of its
  // own: a WebSocket that stays in flight for hours must not keep the breaker from being probed.
  // Zeroed with the row's other gauges.
  std::atomic<uint32_t>& tickets(uint32_t r, uint32_t b) const { return tickets_[r * stride_ + b]; }
  // Idle pooled connections of process `r` to backend `b`.
  std::atomic<uint32_t>& idle(uint32_t r, uint32_t b) const { return idle_[r * stride_ + b]; }
  BackendCounters& counters(uint32_t r, uint32_t b) const {
    return counters_[size_t{r} * backends() + b];
  }
  // A gauge of client addresses in process `r` (core/client_places.h).
  std::atomic<uint32_t>& client_gauge(uint32_t r, uint32_t place) const {
    return clients_[size_t{r} * kClientLevels * kClientWidth + place];
  }
  // The rate limiter's buckets. Nobody's: every worker swaps words of it.
  RateTable rate_table() const;
  // Times of whole requests in process `r`, and of the answers of backend `b` there. Readers must
  // not look into those of rows and backends that were never used (Used): a look takes a page.
  LatencyWords& latency(uint32_t r) const { return latency_[r]; }
  LatencyWords& latency(uint32_t r, uint32_t b) const {
    return backend_latency_[size_t{r} * backends() + b];
  }
  // What the slot's earlier tenants counted: readers take it off. Written by RebaseBackend.
  BackendCounters& base_counters(uint32_t b) const { return counters(processes(), b); }
  LatencyWords& base_latency(uint32_t b) const { return latency(processes(), b); }
  // False where the row has never counted anything.
  bool Used(uint32_t r) const { return row(r).accepted.load(std::memory_order_relaxed) != 0; }

  bool row_live(uint32_t r) const {
    return (header_->live_rows[r / 64].load(std::memory_order_acquire) >> (r % 64)) & 1;
  }
  // Sum over living processes of `gauge(row)`. seq_cst: half of the reservation primitive, see
  // core/admission.h.
  template <class Gauge>
  uint32_t SumLive(Gauge gauge) const {
    uint32_t sum = 0;
    const uint32_t rows = header_->row_high_water.load(std::memory_order_seq_cst);
    for (uint32_t base = 0; base < rows; base += 64) {
      uint64_t live = header_->live_rows[base / 64].load(std::memory_order_seq_cst);
      for (; live != 0; live &= live - 1) {
        sum += gauge(base + static_cast<uint32_t>(std::countr_zero(live)))
                   .load(std::memory_order_seq_cst);
      }
    }
    return sum;
  }
  // Sum over living processes of requests in flight to backend `b`.
  uint32_t InFlight(uint32_t b) const;
  // Sum over living processes of client connections.
  uint32_t Connections() const;

  // Writer of the backend table only: slot `b` goes to another address, whose counts begin at 0.
  // Nothing may be in flight there.
  void RebaseBackend(uint32_t b) const;

  // --- master only ---
  // Takes a free row for a child that is about to be forked; kNoRow when all are taken.
  uint32_t TakeRow(ChildKind kind, uint32_t worker_id);
  // The process of row `r` is gone (after waitpid): its gauges are zeroed, its counters kept, the
  // row freed.
  void ReleaseRow(uint32_t r);

 private:
  ShmSegment(UniqueFd fd, void* base, size_t bytes);
  void SetPointers(const ShmLimits& limits);
  void ZeroGauges(uint32_t r);
  void Unmap();

  UniqueFd fd_;
  void* base_ = nullptr;
  size_t bytes_ = 0;
  size_t stride_ = 0;  // gauges in a row, padded
  ShmHeader* header_ = nullptr;
  ProcessRow* rows_ = nullptr;
  std::atomic<uint32_t>* owners_ = nullptr;
  BackendSlot* slots_ = nullptr;
  std::atomic<uint32_t>* in_flight_ = nullptr;
  std::atomic<uint32_t>* tickets_ = nullptr;
  std::atomic<uint32_t>* idle_ = nullptr;
  BackendCounters* counters_ = nullptr;
  std::atomic<uint64_t>* rate_words_ = nullptr;
  std::atomic<uint32_t>* clients_ = nullptr;
  LatencyWords* latency_ = nullptr;
  LatencyWords* backend_latency_ = nullptr;
};

}  // namespace ub

#endif  // UB_CORE_SHM_SEGMENT_H_
