// The words of the shared segment. Everything here is a lock-free atomic or is written once before
// it is published; indexes, never pointers. A process may be killed between any two instructions
// and what is left stays meaningful: that is what these layouts are for.
//
// A change of any struct here is a change of kShmLayoutVersion. Lives in every process.
// Size: every word of the segment, to be read in one place.
#ifndef UB_CORE_SHM_LAYOUT_H_
#define UB_CORE_SHM_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/histogram.h"

namespace ub {

inline constexpr uint64_t kShmMagic = 0x4c41424152544c55;  // "ULTRABAL"
inline constexpr uint32_t kShmLayoutVersion = 8;
inline constexpr size_t kCacheLine = 64;
inline constexpr uint32_t kNoRow = UINT32_MAX;
// As owner of a listening socket: every worker accepts from it (unix sockets, sockets passed in).
inline constexpr uint32_t kAnyRow = UINT32_MAX - 1;

static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// The gauges of client addresses that each process has (core/client_places.h).
inline constexpr uint32_t kClientLevels = 4;
inline constexpr uint32_t kClientWidth = 8192;

// Capacities, fixed when the segment is made.
struct ShmLimits {
  uint32_t processes = 64;   // rows: workers, controllers and draining ones that may live at once
  uint32_t backends = 1024;  // slots of the backend table
  uint32_t sockets = 4096;   // entries of the socket ownership table
  uint32_t rate_entries = 65536;  // clients of the rate limiter; rounded up to a power of two
};

// What session tickets are sealed with (core/ticket_keys.h): a name of 16 bytes, and 32 each for cipher and MAC.
struct TicketKeyWords {
  std::atomic<uint64_t> words[10];
};
inline constexpr size_t kTicketKeys = 4;

struct alignas(kCacheLine) ShmHeader {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t total_processes, total_backends, total_sockets, total_rate_entries;
  uint64_t total_bytes;
  uint64_t created_unix_ms;
  char rate_secret[192];  // random; what hashes of what clients choose are made with
  uint64_t created_ns;  // CLOCK_MONOTONIC: uptime counts from here
  // Bumped by the controller after each change of the backend table; workers rebuild their view.
  alignas(kCacheLine) std::atomic<uint64_t> table_version;
  // Slots at or above this index were never used (it only grows): bounds every scan.
  std::atomic<uint32_t> backend_high_water;
  // Rows at or above this index were never used.
  std::atomic<uint32_t> row_high_water;
  // Newest configuration that the master handed out.
  std::atomic<uint64_t> config_generation;
  // Set with the first client address that was counted: without it the gauges need no zeroing.
  std::atomic<uint32_t> client_gauges_used;
  // Keys that were made, ever: number n lies in ticket_keys[n % kTicketKeys], the newest is the last. The master's.
  alignas(kCacheLine) std::atomic<uint64_t> ticket_keys_made;
  std::atomic<uint64_t> ticket_rotated_ms;  // CLOCK_MONOTONIC
  TicketKeyWords ticket_keys[kTicketKeys];
  // Bit r set: row r belongs to a living process and its gauges count.
  alignas(kCacheLine) std::atomic<uint64_t> live_rows[16];
};
inline constexpr uint32_t kMaxProcesses = 16 * 64;

enum class RowState : uint32_t { kFree, kLive, kDraining };
enum class ChildKind : uint32_t { kNone, kWorker, kController };

// One row a process. `state`, `pid`, `kind`, `worker_id` are the master's; the rest has one writer,
// the process. Counters are never zeroed: the next process that takes the row goes on counting.
struct alignas(kCacheLine) ProcessRow {
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> pid;
  std::atomic<uint32_t> kind;
  std::atomic<uint32_t> worker_id;
  std::atomic<uint64_t> table_ack;   // the table version that this process works by
  std::atomic<uint64_t> config_ack;  // the configuration generation that it works by
  // Gauges, zeroed by the master when the process is gone: client connections open in it, and requests that wait in it for
  // a place at a backend.
  alignas(kCacheLine) std::atomic<uint32_t> connections;
  std::atomic<uint32_t> queued;
  // Counters.
  alignas(kCacheLine) std::atomic<uint64_t> accepted;
  std::atomic<uint64_t> requests;
  std::atomic<uint64_t> responses[6];  // by class: [1] 1xx … [5] 5xx; [0] closed without an answer
  std::atomic<uint64_t> bytes_received, bytes_sent;  // client side
  std::atomic<uint64_t> retries;
  std::atomic<uint64_t> rate_limited;  // requests answered 429; among responses[4]
  std::atomic<uint64_t> client_aborts;  // clients that left before their answer was complete
  std::atomic<uint64_t> upstream_connects, upstream_reuses;
  std::atomic<uint64_t> tls_handshakes, tls_resumed, tls_failures;  // with clients; resumed ones are handshakes too
  std::atomic<uint64_t> http2_connections, http2_streams;
  // Connections that were closed because of too many: resets, PINGs, SETTINGS, PRIORITYs, empty frames, WINDOW_UPDATEs,
  // CONTINUATIONs, header fields (http/http2_codec.h).
  std::atomic<uint64_t> http2_floods[8];
};

// Counters of one backend in one process; one writer. They belong to the slot and are never zeroed:
// what earlier tenants of the slot counted stands in a row of its own (ShmSegment::base_counters).
struct alignas(kCacheLine) BackendCounters {
  std::atomic<uint64_t> requests, failures, retries;
  std::atomic<uint64_t> bytes_sent, bytes_received;  // backend side
  std::atomic<uint64_t> connects;
};

enum class SlotState : uint32_t { kFree, kActive, kRemoved };
enum class AdminState : uint8_t { kReady, kDrain, kMaint };
enum class BackendProtocol : uint32_t { kHttp1, kHttp2 };
enum class HealthState : uint32_t { kUnknown, kUp, kDegraded, kDown, kRecovering };

inline constexpr size_t kSlotAddressBytes = 128;  // holds a sockaddr_un (110)
inline constexpr size_t kSlotTextBytes = 128;
inline constexpr size_t kSlotHostBytes = 256;  // holds a host name (253)

// One (pool, address). Only the controller writes the first part (the master fills it once before
// any fork).
struct alignas(kCacheLine) BackendSlot {
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> generation;  // grows with each reuse of the slot
  std::atomic<uint32_t> pool;        // index of the pool; 0 is `default`
  std::atomic<uint32_t> order;       // place in the configuration
  std::atomic<uint32_t> weight;
  std::atomic<uint32_t> max_connections;  // 0: no limit
  std::atomic<uint32_t> backup;
  std::atomic<uint32_t> admin;             // AdminState
  std::atomic<uint64_t> removed_version;   // table version at which it was removed
  std::atomic<uint32_t> protocol;          // BackendProtocol
  std::atomic<uint64_t> slow_start_since;  // CLOCK_MONOTONIC ns when it came back, 0: none
  // What a pick looks at, in one cache line: of ten thousand backends nearly every look is a miss.
  // Written by the controller's prober, read by all.
  alignas(kCacheLine) std::atomic<uint32_t> health;       // HealthState
  std::atomic<uint32_t> probe_failures, probe_successes;  // consecutive
  std::atomic<uint32_t>
      passive_failures;  // consecutive, reported by workers; taken back by the prober
  // Written by whoever picks or reports, but seldom: when requests fail, and the response time once
  // a millisecond.
  std::atomic<uint64_t> breaker;  // packed: state, epoch, deadline; see circuit_breaker
  std::atomic<uint64_t> breaker_counts;
  std::atomic<uint64_t> ewma;  // packed: response time, stamp; see fastest_response
  // Written before `state` becomes kActive, constant for the slot's generation.
  alignas(kCacheLine) unsigned char address[kSlotAddressBytes];  // a sockaddr
  uint32_t address_bytes;
  char address_text[kSlotTextBytes];  // "10.0.0.1:80", NUL-terminated
  char name[kSlotTextBytes];  // for people
  char host[kSlotHostBytes];  // as it was written; who a backend with TLS must be
};

}  // namespace ub

#endif  // UB_CORE_SHM_LAYOUT_H_
