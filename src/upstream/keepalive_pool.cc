#include "upstream/keepalive_pool.h"

#include <algorithm>

#include "core/clock.h"

namespace ub {
namespace {

constexpr size_t kMaxSpare = 256;

}  // namespace

void BackendConnection::OnReadable() {
  // TLS has things to say of its own, such as tickets.
  if (!connection->transport().plain() && KeepalivePool::IsQuiet(connection.get())) return;
  pool_->Close(pool_->Unlink(this));
}
void BackendConnection::OnDeadline() { pool_->Close(pool_->Unlink(this)); }

KeepalivePool::KeepalivePool(EventLoop* loop, ShmSegment* shm, uint32_t row)
    : loop_(loop), shm_(shm), row_(row), period_(loop, &KeepalivePool::OnPeriod, this) {}

KeepalivePool::~KeepalivePool() { CloseAll(); }

void KeepalivePool::Configure(const ConnectionPoolConfig& config) {
  config_ = config;
  for (Slot& slot : slots_) Trim(&slot);
}

KeepalivePool::Slot& KeepalivePool::At(uint32_t slot) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  return slots_[slot];
}

uint32_t KeepalivePool::idle(uint32_t slot) const { return slot < slots_.size() ? slots_[slot].idle : 0; }
uint32_t KeepalivePool::in_use(uint32_t slot) const { return slot < slots_.size() ? slots_[slot].in_use : 0; }

std::unique_ptr<BackendConnection> KeepalivePool::Take(uint32_t slot, uint32_t generation, bool fresh) {
  Slot& at = At(slot);
  at.in_use++;
  at.peak = std::max(at.peak, at.in_use);
  while (!fresh && at.newest != nullptr) {
    std::unique_ptr<BackendConnection> taken = Unlink(at.newest);
    if (taken->generation == generation) return taken;
    Close(std::move(taken));  // the slot belongs to another backend by now
  }
  return MakeNew(slot, generation);
}

std::unique_ptr<BackendConnection> KeepalivePool::MakeNew(uint32_t slot, uint32_t generation) {
  std::unique_ptr<BackendConnection> made;
  if (spare_.empty()) {
    made = std::make_unique<BackendConnection>();
    made->pool_ = this;
  } else {
    made = std::move(spare_.back());
    spare_.pop_back();
  }
  made->slot = slot;
  made->generation = generation;
  made->requests = 0;
  made->epoch_ = epoch_;
  return made;
}

bool KeepalivePool::IsQuiet(Connection* connection) {
  if (connection->congested() || connection->write_error() != 0 || connection->peer_ended()) return false;
  // The last read may have stopped at the very end of the response: only then is another one needed to know. Bytes that
  // nobody asked for mean that the connection cannot be trusted with another request.
  char byte;
  return !connection->readable() || connection->Read(&byte, 1).state == IoState::kWouldBlock;
}

void KeepalivePool::Publish(uint32_t slot) {
  shm_->idle(row_, slot).store(slots_[slot].idle + slots_[slot].other, std::memory_order_relaxed);
}

void KeepalivePool::CountOther(uint32_t slot, uint32_t idle) {
  At(slot).other = idle;
  Publish(slot);
}

void KeepalivePool::EndUse(uint32_t slot) { At(slot).in_use--; }

uint32_t KeepalivePool::Allowed(const Slot& slot) const {
  if (config_.max_idle_per_backend != ConnectionPoolConfig::kAuto) return config_.max_idle_per_backend;
  const uint32_t peak = std::max(slot.peak, slot.last_peak);
  return peak > slot.in_use ? peak - slot.in_use : 0;
}

void KeepalivePool::Put(std::unique_ptr<BackendConnection> connection) {
  EndUse(connection->slot);
  Slot& slot = At(connection->slot);
  // A backend that was removed while the request was under way gets no other one here.
  const uint32_t state = shm_->slot(connection->slot).state.load(std::memory_order_relaxed);
  if (state == static_cast<uint32_t>(SlotState::kRemoved) || connection->epoch_ != epoch_ || slot.idle >= Allowed(slot) ||
      (config_.max_requests != 0 && connection->requests >= config_.max_requests) || !IsQuiet(connection->connection.get())) {
    Close(std::move(connection));
    return;
  }
  connection->connection->set_handler(connection.get());
  connection->connection->SetDeadline(loop_->now_ns() + MsToNs(config_.idle_timeout_ms));
  Link(connection.release());
  if (!counting_ && config_.max_idle_per_backend == ConnectionPoolConfig::kAuto) {
    counting_ = true;
    period_.Set(loop_->now_ns() + MsToNs(config_.idle_timeout_ms));
  }
}

void KeepalivePool::Discard(std::unique_ptr<BackendConnection> connection) {
  EndUse(connection->slot);
  Close(std::move(connection));
}

void KeepalivePool::Link(BackendConnection* connection) {
  Slot& slot = At(connection->slot);
  connection->newer_ = nullptr;
  connection->older_ = slot.newest;
  (slot.newest != nullptr ? slot.newest->newer_ : slot.oldest) = connection;
  slot.newest = connection;
  slot.idle++;
  Publish(connection->slot);
}

std::unique_ptr<BackendConnection> KeepalivePool::Unlink(BackendConnection* connection) {
  Slot& slot = At(connection->slot);
  (connection->newer_ != nullptr ? connection->newer_->older_ : slot.newest) = connection->older_;
  (connection->older_ != nullptr ? connection->older_->newer_ : slot.oldest) = connection->newer_;
  slot.idle--;
  Publish(connection->slot);
  return std::unique_ptr<BackendConnection>(connection);
}

void KeepalivePool::Close(std::unique_ptr<BackendConnection> connection) {
  if (connection->connection != nullptr) Connection::Retire(std::move(connection->connection));
  // The object may be the handler whose callback is running; it holds nothing but this pool's pointer by now.
  if (spare_.size() < kMaxSpare) {
    spare_.push_back(std::move(connection));
  } else {
    loop_->Retire(std::move(connection));
  }
}

void KeepalivePool::Trim(Slot* slot) {
  const uint32_t allowed = Allowed(*slot);
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): Unlink has moved slot->oldest on
  while (slot->idle > allowed) Close(Unlink(slot->oldest));
}

void KeepalivePool::OnPeriod(void* self) {
  auto* pool = static_cast<KeepalivePool*>(self);
  bool any = false;
  for (Slot& slot : pool->slots_) {
    slot.last_peak = slot.peak;
    slot.peak = slot.in_use;
    pool->Trim(&slot);
    any |= slot.idle > 0 || slot.in_use > 0;
  }
  pool->counting_ = any;
  if (any) pool->period_.Set(pool->loop_->now_ns() + MsToNs(pool->config_.idle_timeout_ms));
}

void KeepalivePool::CloseUnless(const std::function<bool(uint32_t, uint32_t)>& keep) {
  for (Slot& slot : slots_) {
    for (BackendConnection* at = slot.newest; at != nullptr;) {
      BackendConnection* older = at->older_;
      if (!keep(at->slot, at->generation)) Close(Unlink(at));
      at = older;
    }
  }
}

void KeepalivePool::CloseAll() {
  CloseUnless([](uint32_t, uint32_t) { return false; });
}

}  // namespace ub
