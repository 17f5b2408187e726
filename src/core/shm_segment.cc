#include "core/shm_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/clock.h"

namespace ub {

namespace {

constexpr uint32_t kMaxBackends = 1u << 20;
constexpr uint32_t kMaxSockets = 1u << 16;
constexpr uint32_t kMaxRateEntries = 1u << 26;
static_assert(sizeof(ShmHeader::rate_secret) == RateTable::kSecretBytes);

// Byte offsets of the regions; a pure function of the capacities, so that Attach can check what it
// finds.
struct Layout {
  size_t rows, owners, slots, in_flight, idle, tickets, counters, latency, backend_latency;
  size_t rate_words, clients, total;
  size_t stride;
};

size_t Align(size_t offset, size_t to) { return (offset + to - 1) / to * to; }

Layout ComputeLayout(const ShmLimits& limits) {
  Layout layout{};
  constexpr size_t kPerLine = kCacheLine / sizeof(std::atomic<uint32_t>);
  // An odd number of cache lines: with a power of two, the same backend's gauges of all processes
  // would compete for one set of the L1 cache.
  layout.stride = Align(limits.backends, kPerLine);
  if (layout.stride / kPerLine % 2 == 0) layout.stride += kPerLine;
  const size_t gauge_bytes = layout.stride * limits.processes * sizeof(std::atomic<uint32_t>);
  size_t offset = Align(sizeof(ShmHeader), kCacheLine);
  const auto place = [&offset](size_t bytes) {
    const size_t at = offset;
    offset = Align(offset + bytes, kCacheLine);
    return at;
  };
  layout.rows = place(sizeof(ProcessRow) * limits.processes);
  layout.owners = place(sizeof(std::atomic<uint32_t>) * limits.sockets);
  layout.slots = place(sizeof(BackendSlot) * limits.backends);
  layout.in_flight = place(gauge_bytes);
  layout.idle = place(gauge_bytes);
  layout.tickets = place(gauge_bytes);
  // One row more than processes: what earlier tenants of each slot counted.
  const size_t cells = (size_t{limits.processes} + 1) * limits.backends;
  layout.counters = place(sizeof(BackendCounters) * cells);
  layout.latency = place(sizeof(LatencyWords) * limits.processes);
  layout.backend_latency = place(sizeof(LatencyWords) * cells);
  layout.rate_words =
      place(sizeof(std::atomic<uint64_t>) * RateTable::WordsFor(limits.rate_entries));
  layout.clients =
      place(sizeof(std::atomic<uint32_t>) * kClientLevels * kClientWidth * limits.processes);
  layout.total = Align(offset, 4096);
  return layout;
}

bool InRange(const ShmLimits& limits) {
  return limits.processes >= 1 && limits.processes <= kMaxProcesses && limits.backends >= 1 &&
         limits.backends <= kMaxBackends && limits.sockets >= 1 && limits.sockets <= kMaxSockets &&
         limits.rate_entries >= 1 && limits.rate_entries <= kMaxRateEntries;
}

Status Invalid(const char* what) {
  return Status(StatusCode::kInvalid, StatusSource::kSystem, what);
}

Result<void*> Map(int fd, size_t bytes) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return Fail(Status::System("mmap of the shared segment", errno));
  return base;
}

}  // namespace

size_t ShmSegment::BytesFor(const ShmLimits& limits) { return ComputeLayout(limits).total; }

Result<ShmSegment> ShmSegment::Create(const ShmLimits& limits) {
  if (!InRange(limits)) return Fail(Invalid("shared segment: capacities out of range"));
  const Layout layout = ComputeLayout(limits);
  UniqueFd fd(memfd_create("ultrabalancer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Fail(Status::System("memfd_create", errno));
  if (ftruncate(fd.get(), static_cast<off_t>(layout.total)) < 0) {
    return Fail(Status::System("size of the shared segment", errno));
  }
  // A segment that could shrink would turn a load in another process into SIGBUS.
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    return Fail(Status::System("seals of the shared segment", errno));
  }
  Result<void*> base = Map(fd.get(), layout.total);
  if (!base) return Fail(base.error());

  ShmSegment segment(std::move(fd), *base, layout.total);
  segment.SetPointers(limits);
  ShmHeader& header = *segment.header_;
  header.magic = kShmMagic;
  header.layout_version = kShmLayoutVersion;
  header.total_processes = limits.processes;
  header.total_backends = limits.backends;
  header.total_sockets = limits.sockets;
  header.total_rate_entries = limits.rate_entries;
  header.total_bytes = layout.total;
  header.created_unix_ms = UnixMs();
  header.created_ns = MonotonicNs();
  if (getrandom(header.rate_secret, sizeof header.rate_secret, 0) != sizeof header.rate_secret) {
    return Fail(Status::System("getrandom", errno));
  }
  for (uint32_t s = 0; s < limits.sockets; ++s) {
    segment.socket_owner(s).store(kNoRow, std::memory_order_relaxed);
  }
  return segment;
}

Result<ShmSegment> ShmSegment::Attach(UniqueFd fd) {
  struct stat info {};
  if (fstat(fd.get(), &info) < 0) return Fail(Status::System("fstat of the shared segment", errno));
  const auto size = static_cast<size_t>(info.st_size);
  if (info.st_size < 0 || size < sizeof(ShmHeader))
    return Fail(Invalid("not a shared segment: too small"));
  Result<void*> base = Map(fd.get(), size);
  if (!base) return Fail(base.error());

  ShmSegment segment(std::move(fd), *base, size);
  const auto& header = *static_cast<const ShmHeader*>(*base);
  if (header.magic != kShmMagic) return Fail(Invalid("not a shared segment of UltraBalancer"));
  if (header.layout_version != kShmLayoutVersion) {
    return Fail(Invalid("the shared segment has the layout of another version"));
  }
  const ShmLimits limits{header.total_processes, header.total_backends, header.total_sockets,
                         header.total_rate_entries};
  if (!InRange(limits) || header.total_bytes != size || ComputeLayout(limits).total != size) {
    return Fail(Invalid("the shared segment's header does not fit its size"));
  }
  segment.SetPointers(limits);
  return segment;
}

ShmSegment::ShmSegment(UniqueFd fd, void* base, size_t bytes)
    : fd_(std::move(fd)), base_(base), bytes_(bytes) {}

ShmSegment::ShmSegment(ShmSegment&& other) noexcept { *this = std::move(other); }

ShmSegment& ShmSegment::operator=(ShmSegment&& other) noexcept {
  if (this == &other) return *this;
  Unmap();
  fd_ = std::move(other.fd_);
  base_ = std::exchange(other.base_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  stride_ = other.stride_;
  header_ = std::exchange(other.header_, nullptr);
  rows_ = std::exchange(other.rows_, nullptr);
  owners_ = std::exchange(other.owners_, nullptr);
  slots_ = std::exchange(other.slots_, nullptr);
  in_flight_ = std::exchange(other.in_flight_, nullptr);
  idle_ = std::exchange(other.idle_, nullptr);
  tickets_ = std::exchange(other.tickets_, nullptr);
  counters_ = std::exchange(other.counters_, nullptr);
  rate_words_ = std::exchange(other.rate_words_, nullptr);
  clients_ = std::exchange(other.clients_, nullptr);
  latency_ = std::exchange(other.latency_, nullptr);
  backend_latency_ = std::exchange(other.backend_latency_, nullptr);
  return *this;
}

ShmSegment::~ShmSegment() { Unmap(); }

void ShmSegment::Unmap() {
  if (base_ != nullptr) munmap(base_, bytes_);
  base_ = nullptr;
}

void ShmSegment::SetPointers(const ShmLimits& limits) {
  const Layout layout = ComputeLayout(limits);
  auto* const bytes = static_cast<unsigned char*>(base_);
  const auto gauges = [bytes](size_t at) {
    return reinterpret_cast<std::atomic<uint32_t>*>(bytes + at);
  };
  stride_ = layout.stride;
  header_ = reinterpret_cast<ShmHeader*>(bytes);
  rows_ = reinterpret_cast<ProcessRow*>(bytes + layout.rows);
  owners_ = gauges(layout.owners);
  slots_ = reinterpret_cast<BackendSlot*>(bytes + layout.slots);
  in_flight_ = gauges(layout.in_flight);
  idle_ = gauges(layout.idle);
  tickets_ = gauges(layout.tickets);
  counters_ = reinterpret_cast<BackendCounters*>(bytes + layout.counters);
  rate_words_ = reinterpret_cast<std::atomic<uint64_t>*>(bytes + layout.rate_words);
  clients_ = gauges(layout.clients);
  latency_ = reinterpret_cast<LatencyWords*>(bytes + layout.latency);
  backend_latency_ = reinterpret_cast<LatencyWords*>(bytes + layout.backend_latency);
}

RateTable ShmSegment::rate_table() const {
  const auto words = static_cast<size_t>(RateTable::WordsFor(header_->total_rate_entries));
  return RateTable({rate_words_, words}, {header_->rate_secret, sizeof header_->rate_secret});
}

uint32_t ShmSegment::InFlight(uint32_t b) const {
  return SumLive([this, b](uint32_t r) -> const std::atomic<uint32_t>& { return in_flight(r, b); });
}

uint32_t ShmSegment::Connections() const {
  return SumLive([this](uint32_t r) -> const std::atomic<uint32_t>& { return row(r).connections; });
}

void ShmSegment::RebaseBackend(uint32_t b) const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  uint64_t sums[6] = {};
  uint64_t sum_ns = 0, buckets[kHistogramBuckets] = {};
  const auto words = [](BackendCounters& of) {
    return std::array<std::atomic<uint64_t>*, 6>{&of.requests,   &of.failures,       &of.retries,
                                                 &of.bytes_sent, &of.bytes_received, &of.connects};
  };
  const uint32_t rows = header_->row_high_water.load();
  for (uint32_t r = 0; r < rows; ++r) {
    if (!Used(r) || counters(r, b).requests.load(kRelaxed) == 0) continue;
    const auto from = words(counters(r, b));
    for (size_t i = 0; i < from.size(); ++i) sums[i] += from[i]->load(kRelaxed);
    const LatencyWords& times = latency(r, b);
    sum_ns += times.sum_ns.load(kRelaxed);
    for (uint32_t i = 0; i < kHistogramBuckets; ++i) buckets[i] += times.buckets[i].load(kRelaxed);
  }
  if (sums[0] == 0) return;  // the first tenant: the base stays untouched
  const auto to = words(base_counters(b));
  for (size_t i = 0; i < to.size(); ++i) to[i]->store(sums[i], kRelaxed);
  LatencyWords& base = base_latency(b);
  base.sum_ns.store(sum_ns, kRelaxed);
  for (uint32_t i = 0; i < kHistogramBuckets; ++i) base.buckets[i].store(buckets[i], kRelaxed);
}

uint32_t ShmSegment::TakeRow(ChildKind kind, uint32_t worker_id) {
  for (uint32_t r = 0; r < processes(); ++r) {
    auto expected = static_cast<uint32_t>(RowState::kFree);
    // CAS, although a segment has one master nearly always: during a binary upgrade two take rows.
    if (!row(r).state.compare_exchange_strong(expected, static_cast<uint32_t>(RowState::kLive)))
      continue;
    // A master killed inside ReleaseRow may have left gauges behind. The row is not live: nobody
    // sums them yet.
    ZeroGauges(r);
    row(r).kind.store(static_cast<uint32_t>(kind));
    row(r).worker_id.store(worker_id);
    row(r).table_ack.store(0);
    row(r).config_ack.store(0);
    // The bound first, then the bit: whoever sees the bit scans far enough. Both before the fork,
    // hence before the row's first increment, which is what the reservation primitive needs: a sum
    // that misses the bit was taken before anything could be counted here.
    uint32_t water = header_->row_high_water.load();
    while (water < r + 1 && !header_->row_high_water.compare_exchange_weak(water, r + 1)) {
    }
    header_->live_rows[r / 64].fetch_or(uint64_t{1} << (r % 64));
    return r;
  }
  return kNoRow;
}

void ShmSegment::ReleaseRow(uint32_t r) {
  // The bit first: in that one store everything that the dead process held stops counting, at
  // whatever instruction it died. A sum that still saw the bit counts some of the old gauges and
  // errs towards "full", which breaks no limit. Zeroing is only for the row's next owner, so it
  // comes second, and freeing last: a row that could be taken before it was zeroed would pass its
  // old gauges on, or lose new ones to the zeroing.
  header_->live_rows[r / 64].fetch_and(~(uint64_t{1} << (r % 64)));
  ZeroGauges(r);
  row(r).pid.store(0);
  row(r).kind.store(static_cast<uint32_t>(ChildKind::kNone));
  row(r).state.store(static_cast<uint32_t>(RowState::kFree));
}

void ShmSegment::ZeroGauges(uint32_t r) {
  const uint32_t used = header_->backend_high_water.load();
  for (uint32_t b = 0; b < used && b < backends(); ++b) {
    in_flight(r, b).store(0);
    idle(r, b).store(0);
    tickets(r, b).store(0);
  }
  row(r).connections.store(0);
  row(r).queued.store(0);
  // Without the flag the pages were never touched, and should not be.
  if (header_->client_gauges_used.load() == 0) return;
  for (uint32_t place = 0; place < kClientLevels * kClientWidth; ++place) {
    client_gauge(r, place).store(0, std::memory_order_relaxed);
  }
}

}  // namespace ub
