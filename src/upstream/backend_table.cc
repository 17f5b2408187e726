#include "upstream/backend_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "upstream/circuit_breaker.h"

namespace ub {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

std::string KeyOf(uint32_t pool, const void* address, size_t bytes) {
  std::string key(sizeof(pool) + bytes, '\0');
  std::memcpy(key.data(), &pool, sizeof(pool));
  std::memcpy(key.data() + sizeof(pool), address, bytes);
  return key;
}

std::string KeyOf(uint32_t pool, const BackendSpec& spec) {
  return KeyOf(pool, &spec.address, spec.bytes);
}

SlotState StateOf(const BackendSlot& slot) { return static_cast<SlotState>(slot.state.load(kAcquire)); }

void SetState(BackendSlot& slot, SlotState state) {
  slot.state.store(static_cast<uint32_t>(state), kRelease);
}

template <size_t kBytes>
void CopyText(char (&to)[kBytes], std::string_view from) {
  const size_t n = std::min(from.size(), kBytes - 1);
  std::memcpy(to, from.data(), n);
  std::memset(to + n, 0, kBytes - n);
}

const std::string& NameOf(const BackendSpec& spec) { return spec.name.empty() ? spec.text : spec.name; }

// Others read the texts of a slot at any time, so they stay as long as its tenant: an address whose name or host has changed
// is another backend. (With TLS it must be who its host says.)
bool HasTexts(const BackendSlot& slot, const BackendSpec& spec) {
  return std::string_view(slot.name) == std::string_view(NameOf(spec)).substr(0, kSlotTextBytes - 1) &&
         std::string_view(slot.host) == std::string_view(spec.host).substr(0, kSlotHostBytes - 1);
}

Status CheckAddress(const BackendSpec& spec) {
  if (spec.bytes > 0 && spec.bytes <= kSlotAddressBytes) return Status::Ok();
  return Status(StatusCode::kInvalid, StatusSource::kConfig,
                fmt::format("backend {}: an address of {} bytes fits no slot", spec.text, spec.bytes));
}

Status TableFull(uint32_t capacity, bool retryable) {
  return Status(StatusCode::kExhausted, StatusSource::kConfig,
                retryable
                    ? fmt::format("removed backends still hold slots of the table's {}: they free themselves when "
                                  "their last request ends (or raise shared_memory.max_backends and restart)",
                                  capacity)
                    : fmt::format("the backend table holds {} (raise shared_memory.max_backends and restart)",
                                  capacity),
                retryable);
}

Status NotActive(uint32_t slot) {
  return Status(StatusCode::kNotFound, StatusSource::kConfig, fmt::format("no backend in slot {}", slot));
}

}  // namespace

bool BackendTable::Active(uint32_t slot) const {
  return slot < shm_.backends() && StateOf(shm_.slot(slot)) == SlotState::kActive;
}

// Only the writer moves the version, so what it will be next is known before it is published.
uint64_t BackendTable::NextVersion() const { return shm_.header().table_version.load(kRelaxed) + 1; }

void BackendTable::Publish() { shm_.header().table_version.store(NextVersion(), kRelease); }

BackendTable::Index BackendTable::BuildIndex() {
  Index index;
  const uint32_t top = shm_.header().backend_high_water.load(kAcquire);
  index.reserve(top);
  spare_.clear();
  for (uint32_t b = top; b-- > 0;) {
    const BackendSlot& slot = shm_.slot(b);
    const SlotState state = StateOf(slot);
    if (state != SlotState::kActive) spare_.push_back(b);
    if (state == SlotState::kFree) continue;
    std::string key = KeyOf(slot.pool.load(kRelaxed), slot.address, slot.address_bytes);
    auto [at, inserted] = index.try_emplace(std::move(key), b);
    if (!inserted && state == SlotState::kActive) at->second = b;  // an active one hides a removed one
  }
  return index;
}

bool BackendTable::Reusable(uint32_t b) const {
  const BackendSlot& slot = shm_.slot(b);
  if (StateOf(slot) != SlotState::kRemoved) return false;
  const uint64_t removed = slot.removed_version.load(kRelaxed);
  const uint32_t rows = shm_.header().row_high_water.load(kAcquire);
  // The acknowledgements first: a worker that works by a later table cannot begin a request here any more, so the
  // gauges that are read after it can only fall.
  for (uint32_t r = 0; r < rows; ++r) {
    if (!shm_.row_live(r)) continue;
    const ProcessRow& row = shm_.row(r);
    if (row.kind.load(kRelaxed) != static_cast<uint32_t>(ChildKind::kWorker)) continue;
    if (row.table_ack.load(kAcquire) < removed) return false;
  }
  for (uint32_t r = 0; r < rows; ++r) {
    if (!shm_.row_live(r)) continue;
    if (shm_.in_flight(r, b).load(kAcquire) != 0 || shm_.tickets(r, b).load(kAcquire) != 0) return false;
  }
  return true;
}

uint32_t BackendTable::TakeSlot() {
  while (!spare_.empty()) {
    const uint32_t b = spare_.back();
    spare_.pop_back();
    if (StateOf(shm_.slot(b)) == SlotState::kFree || Reusable(b)) return b;
  }
  const uint32_t top = shm_.header().backend_high_water.load(kRelaxed);
  if (top >= shm_.backends()) return kNoSlot;
  // Raised before the slot is filled: a writer killed here leaves a free slot below the mark, which is a spare one.
  shm_.header().backend_high_water.store(top + 1, kRelease);
  return top;
}

void BackendTable::Fill(uint32_t b, uint32_t pool, const BackendSpec& spec) {
  BackendSlot& slot = shm_.slot(b);
  SetState(slot, SlotState::kFree);  // killed from here on, the slot is simply free
  if (slot.generation.load(kRelaxed) != 0) shm_.RebaseBackend(b);
  slot.generation.store(slot.generation.load(kRelaxed) + 1, kRelaxed);
  slot.pool.store(pool, kRelaxed);
  slot.removed_version.store(0, kRelaxed);
  slot.slow_start_since.store(0, kRelaxed);
  slot.health.store(static_cast<uint32_t>(HealthState::kUnknown), kRelaxed);
  slot.probe_failures.store(0, kRelaxed);
  slot.probe_successes.store(0, kRelaxed);
  slot.passive_failures.store(0, kRelaxed);
  slot.breaker.store(0, kRelaxed);
  slot.breaker_counts.store(0, kRelaxed);
  slot.ewma.store(0, kRelaxed);
  std::memset(slot.address, 0, sizeof(slot.address));
  std::memcpy(slot.address, &spec.address, spec.bytes);
  slot.address_bytes = spec.bytes;
  CopyText(slot.address_text, spec.text);
  CopyText(slot.name, NameOf(spec));
  CopyText(slot.host, spec.host);
  Edit(b, spec);
  SetState(slot, SlotState::kActive);
}

// The address was removed and is back before its slot went to another: same slot and generation, so what is in flight
// or idle there is still of this backend. What was known of its health is old.
void BackendTable::Revive(uint32_t b, const BackendSpec& spec) {
  BackendSlot& slot = shm_.slot(b);
  slot.slow_start_since.store(0, kRelaxed);
  slot.health.store(static_cast<uint32_t>(HealthState::kUnknown), kRelaxed);
  slot.probe_failures.store(0, kRelaxed);
  slot.probe_successes.store(0, kRelaxed);
  slot.passive_failures.store(0, kRelaxed);
  CircuitBreaker::Reset(slot.breaker);
  Edit(b, spec);
  SetState(slot, SlotState::kActive);
}

void BackendTable::Edit(uint32_t b, const BackendSpec& spec) {
  BackendSlot& slot = shm_.slot(b);
  slot.order.store(spec.order, kRelaxed);
  slot.weight.store(std::max(spec.weight, 1u), kRelaxed);
  slot.max_connections.store(spec.max_connections, kRelaxed);
  slot.backup.store(spec.backup ? 1 : 0, kRelaxed);
  slot.admin.store(static_cast<uint32_t>(spec.admin), kRelaxed);
  const BackendProtocol protocol = spec.h2 ? BackendProtocol::kHttp2 : BackendProtocol::kHttp1;
  slot.protocol.store(static_cast<uint32_t>(protocol), kRelaxed);
}

void BackendTable::Retire(uint32_t b) {
  BackendSlot& slot = shm_.slot(b);
  slot.removed_version.store(NextVersion(), kRelaxed);
  SetState(slot, SlotState::kRemoved);
}

Status BackendTable::Place(const Index& index, uint32_t pool, const BackendSpec& spec) {
  const auto at = index.find(KeyOf(pool, spec));
  const bool removed = at != index.end() && StateOf(shm_.slot(at->second)) == SlotState::kRemoved;
  if (removed && HasTexts(shm_.slot(at->second), spec)) {
    Revive(at->second, spec);
    return Status::Ok();
  }
  const uint32_t b = TakeSlot();
  if (b == kNoSlot) return TableFull(shm_.backends(), true);
  Fill(b, pool, spec);
  return Status::Ok();
}

bool BackendTable::WouldFit(const Index& index, uint32_t pool, std::span<const BackendSpec> specs) const {
  std::unordered_set<std::string> wanted;
  for (const BackendSpec& spec : specs) wanted.insert(KeyOf(pool, spec));
  size_t others = 0;
  for (const auto& [key, b] : index) {
    others += Active(b) && shm_.slot(b).pool.load(kRelaxed) != pool;
  }
  return wanted.size() + others <= shm_.backends();
}

Status BackendTable::Apply(uint32_t pool, std::span<const BackendSpec> specs) {
  for (const BackendSpec& spec : specs) {
    if (Status status = CheckAddress(spec); !status.ok()) return status;
  }
  const Index index = BuildIndex();
  if (!WouldFit(index, pool, specs)) return TableFull(shm_.backends(), false);

  std::unordered_set<uint32_t> kept;
  std::unordered_set<std::string> seen;
  std::vector<const BackendSpec*> missing;
  for (const BackendSpec& spec : specs) {
    std::string key = KeyOf(pool, spec);
    const auto at = index.find(key);
    if (!seen.insert(std::move(key)).second) continue;
    if (at != index.end() && Active(at->second) && HasTexts(shm_.slot(at->second), spec)) {
      kept.insert(at->second);
      Edit(at->second, spec);
    } else {
      missing.push_back(&spec);
    }
  }
  const uint32_t top = shm_.header().backend_high_water.load(kRelaxed);
  for (uint32_t b = 0; b < top; ++b) {
    if (Active(b) && shm_.slot(b).pool.load(kRelaxed) == pool && !kept.contains(b)) Retire(b);
  }
  Status status;
  for (const BackendSpec* spec : missing) {
    status = Place(index, pool, *spec);
    if (!status.ok()) break;
  }
  // Bumped even where nothing changed: a writer that was killed before its bump left changes that nobody has seen.
  Publish();
  return status;
}

Status BackendTable::Add(uint32_t pool, const BackendSpec& spec) {
  if (Status status = CheckAddress(spec); !status.ok()) return status;
  const Index index = BuildIndex();
  const auto at = index.find(KeyOf(pool, spec));
  if (at != index.end() && Active(at->second)) {
    return Status(StatusCode::kExists, StatusSource::kConfig, fmt::format("backend {} exists", spec.text));
  }
  if (Status status = Place(index, pool, spec); !status.ok()) return status;
  Publish();
  return Status::Ok();
}

Status BackendTable::Remove(uint32_t slot) {
  if (!Active(slot)) return NotActive(slot);
  Retire(slot);
  Publish();
  return Status::Ok();
}

Status BackendTable::SetSlowStart(uint32_t slot, uint64_t since_ns) {
  if (!Active(slot)) return NotActive(slot);
  shm_.slot(slot).slow_start_since.store(since_ns, kRelaxed);
  return Status::Ok();
}

uint32_t BackendTable::Find(uint32_t pool, std::string_view address_text) const {
  const uint32_t top = shm_.header().backend_high_water.load(kAcquire);
  for (uint32_t b = 0; b < top; ++b) {
    const BackendSlot& slot = shm_.slot(b);
    if (Active(b) && slot.pool.load(kRelaxed) == pool && address_text == slot.address_text) return b;
  }
  return kNoSlot;
}

}  // namespace ub
