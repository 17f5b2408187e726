#include "upstream/health_checker.h"

#include <algorithm>

#include "core/clock.h"
#include "core/log.h"

namespace ub {
namespace {

constexpr uint64_t kFirstSpreadNs = 500'000'000;  // first checks come within this, or the interval if it is shorter
constexpr uint64_t kPassiveNs = 500'000'000;      // how often workers' reports are looked at
constexpr uint64_t kMinSettlingNs = 100'000'000;
constexpr uint32_t kSettlingSpeed = 5;  // times faster while a verdict is about to change

}  // namespace

// One backend under watch.
class HealthChecker::Target final : public ProbeHandler, public Retirable {
 public:
  Target(HealthChecker* owner, uint32_t slot)
      : owner_(owner), slot_(slot), timer_(owner->loop_, &Target::OnTimer, this) {
    const BackendSlot& at = owner->shm_->slot(slot);
    generation_ = at.generation.load(std::memory_order_acquire);
    record_.state = static_cast<HealthState>(at.health.load(std::memory_order_relaxed));
    record_.failures = at.probe_failures.load(std::memory_order_relaxed);
    record_.successes = at.probe_successes.load(std::memory_order_relaxed);
  }

  uint32_t slot() const { return slot_; }
  uint32_t generation() const { return generation_; }
  const HealthRecord& record() const { return record_; }
  void set_record(const HealthRecord& record) { record_ = record; }

  void Schedule(uint64_t delay_ns) { timer_.Set(owner_->loop_->now_ns() + delay_ns); }
  // No check any more, nor the result of one under way: the object lives to the end of this turn.
  void Stop() {
    stopped_ = true;
    timer_.Cancel();
  }
  void ProbeNow() {
    if (probe_ == nullptr) Schedule(1);
  }

  void OnProbeDone(bool success, std::string_view reason) override {
    if (stopped_) return;
    const HealthRecord before = record_;
    record_ = AfterProbe(before, success, owner_->thresholds());
    // What workers reported is answered by this check.
    owner_->shm_->slot(slot_).passive_failures.store(0, std::memory_order_relaxed);
    owner_->Write(*this, before, success ? "check passed" : reason);
    if (starting_) {
      ended_at_once_ = true;
    } else if (probe_ != nullptr) {
      owner_->loop_->Retire(std::move(probe_));
    }
    Schedule(NextDelay());
  }

 private:
  static void OnTimer(void* self) { static_cast<Target*>(self)->Probe(); }

  void Probe() {
    if (probe_ != nullptr || stopped_) return;
    const BackendSlot& at = owner_->shm_->slot(slot_);
    config_ = owner_->config_;  // the probe reads it to its end
    probe_ = owner_->factory_->Make(owner_->loop_, config_->health_check,
                                    static_cast<BackendProtocol>(at.protocol.load(std::memory_order_relaxed)), this);
    starting_ = true;
    ended_at_once_ = false;
    probe_->Start({reinterpret_cast<const sockaddr*>(at.address), static_cast<socklen_t>(at.address_bytes),
                   at.address_text, owner_->security_.enabled() ? &owner_->security_ : nullptr, &at});
    starting_ = false;
    if (ended_at_once_) owner_->loop_->Retire(std::move(probe_));
  }

  uint64_t NextDelay() {
    uint64_t interval = MsToNs(owner_->config_->health_check.interval_ms);
    if (record_.Settling(owner_->thresholds())) {
      interval = std::min(interval, std::max(interval / kSettlingSpeed, kMinSettlingNs));
    }
    // ±10 %, so that checks of many backends and many balancers do not fall into step.
    return interval * 9 / 10 + static_cast<uint64_t>(static_cast<double>(interval) * 0.2 * owner_->random_.Unit());
  }

  HealthChecker* const owner_;
  const uint32_t slot_;
  uint32_t generation_ = 0;
  HealthRecord record_;
  Timer timer_;
  std::shared_ptr<const Config> config_;
  std::unique_ptr<HealthProbe> probe_;
  bool starting_ = false, ended_at_once_ = false, stopped_ = false;
};

HealthChecker::HealthChecker(EventLoop* loop, ShmSegment* shm, BackendTable* table, HealthProbeFactory* factory)
    : loop_(loop),
      shm_(shm),
      table_(table),
      factory_(factory),
      random_(MonotonicNs()),
      passive_(loop, &HealthChecker::OnPassive, this) {}

HealthChecker::~HealthChecker() = default;

HealthThresholds HealthChecker::thresholds() const {
  return {config_->health_check.max_failures, config_->health_check.min_successes};
}

void HealthChecker::Configure(std::shared_ptr<const Config> config) {
  bool changed = false;
  if (Status status = security_.Configure(*config, &changed); !status.ok()) {
    Log(LogLevel::kError, "{}", status.detail());  // the master has checked it
  }
  const bool same = !changed && config_ != nullptr && config_->health_check == config->health_check;
  config_ = std::move(config);
  if (!same) {
    for (auto& target : targets_) Drop(&target);
  }
  Rescan();
}

void HealthChecker::Drop(std::unique_ptr<Target>* target) {
  if (*target == nullptr) return;
  (*target)->Stop();
  loop_->Retire(std::move(*target));
}

void HealthChecker::Rescan() {
  const uint32_t slots = shm_->header().backend_high_water.load(std::memory_order_acquire);
  targets_.resize(slots);
  for (uint32_t s = 0; s < slots; ++s) {
    BackendSlot& slot = shm_->slot(s);
    const bool active = slot.state.load(std::memory_order_acquire) == static_cast<uint32_t>(SlotState::kActive);
    std::unique_ptr<Target>& target = targets_[s];
    // The slot of an address that was removed and is back has lost its health, so the target's is of before.
    const auto health = static_cast<HealthState>(slot.health.load(std::memory_order_acquire));
    if (target != nullptr && (!active || target->generation() != slot.generation.load(std::memory_order_acquire) ||
                              target->record().state != health)) {
      Drop(&target);
    }
    if (!active) continue;
    if (!config_->health_check.enabled) {
      CountAsUp(&slot, health);
      continue;
    }
    if (target != nullptr) continue;
    target = std::make_unique<Target>(this, s);
    const uint64_t spread = std::min(kFirstSpreadNs, MsToNs(config_->health_check.interval_ms));
    target->Schedule(static_cast<uint64_t>(static_cast<double>(spread) * random_.Unit()));
  }
  if (config_->health_check.enabled) {
    if (!passive_.active()) passive_.Set(loop_->now_ns() + kPassiveNs);  // however often the table changes
  } else {
    passive_.Cancel();
  }
}

// Without checks nobody may be down: breaker and resolution go on by themselves.
void HealthChecker::CountAsUp(BackendSlot* slot, HealthState before) {
  if (before == HealthState::kUp) return;
  slot->probe_failures.store(0, std::memory_order_relaxed);
  slot->probe_successes.store(0, std::memory_order_relaxed);
  slot->health.store(static_cast<uint32_t>(HealthState::kUp), std::memory_order_release);
  Log(LogLevel::kNotice, "backend {} is up (was {}): health checks are off", slot->address_text,
      HealthStateName(before));
}

void HealthChecker::OnPassive(void* self) {
  auto* checker = static_cast<HealthChecker*>(self);
  for (auto& target : checker->targets_) {
    if (target == nullptr) continue;
    const uint32_t failures =
        checker->shm_->slot(target->slot()).passive_failures.load(std::memory_order_relaxed);
    if (failures == 0) continue;
    const HealthRecord before = target->record();
    const HealthRecord after = AfterPassive(before, failures);
    if (after == before) continue;
    target->set_record(after);
    checker->Write(*target, before, "requests fail");
    target->ProbeNow();
  }
  checker->passive_.Set(checker->loop_->now_ns() + kPassiveNs);
}

void HealthChecker::Write(const Target& target, const HealthRecord& before, std::string_view reason) {
  BackendSlot& slot = shm_->slot(target.slot());
  if (slot.generation.load(std::memory_order_acquire) != target.generation()) return;
  const HealthRecord& now = target.record();
  slot.probe_failures.store(now.failures, std::memory_order_relaxed);
  slot.probe_successes.store(now.successes, std::memory_order_relaxed);
  if (now.state == before.state) return;
  const bool back = !HealthUsable(before.state) && HealthUsable(now.state);
  if (back && config_->health_check.slow_start_ms > 0) (void)table_->SetSlowStart(target.slot(), loop_->now_ns());
  slot.health.store(static_cast<uint32_t>(now.state), std::memory_order_release);
  const bool good = now.state == HealthState::kUp;
  Log(good ? LogLevel::kNotice : LogLevel::kWarn, "backend {} is {} (was {}): {}", slot.address_text,
      HealthStateName(now.state), HealthStateName(before.state), reason);
}

}  // namespace ub
