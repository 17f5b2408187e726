// The controller's changes at run time: what the admin API asks for, how it outlives the process,
// and how it lies over the configuration.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/log.h"
#include "core/sealed_memfd.h"
#include "upstream/controller.h"

namespace ub {
namespace {

constexpr uint32_t kDefaultPool = 0;
// The master answers at once, unless it looks up names for a reload.
constexpr uint64_t kKeepMs = 2000;
constexpr uint64_t kRemovalNs = 20'000'000;  // how often a removed backend is looked at

Status NotThere(std::string_view address) {
  return Status(StatusCode::kNotFound, StatusSource::kConfig,
                fmt::format("there is no backend {}", address));
}

}  // namespace

void Controller::StartManagement() {
  if (management_ == nullptr) return;
  management_->Start(this);
  std::vector<UniqueFd> sockets;
  if (child_->sockets != nullptr) {
    for (ListenSocket& socket : child_->sockets->sockets()) sockets.push_back(std::move(socket.fd));
    child_->sockets->sockets().clear();
  }
  management_->TakeListeners(std::move(sockets));
  if (child_->handover_fd >= 0) management_->TakeHandover(child_->handover_fd);
}

void Controller::LoadState() {
  if (child_->runtime_state_fd < 0) return;
  const Result<std::string> text = ReadSealedMemfd(child_->runtime_state_fd);
  Result<RuntimeState> state = text ? RuntimeState::Parse(*text) : Fail(text.error());
  if (state) {
    state_ = std::move(*state);
  } else {
    Log(LogLevel::kError, "what was changed at run time is lost: {}", state.error().detail());
  }
}

void Controller::ReloadState(int state_fd) {
  RuntimeState next = state_.Drains();
  const bool reset = std::exchange(reset_pending_, false);
  if (reset) {
    Log(LogLevel::kNotice, "what was changed at run time is dropped");
    next = RuntimeState();
  } else if (state_fd >= 0) {
    const Result<std::string> text = ReadSealedMemfd(state_fd);
    Result<RuntimeState> loaded = text ? RuntimeState::Parse(*text) : Fail(text.error());
    next = loaded ? std::move(*loaded) : state_;
  } else if (!child_->config->admin.state_file.empty()) {
    next = state_;  // the master could not read it and said so
  } else if (next != state_) {
    Log(LogLevel::kNotice, "the configuration replaces what was added, removed or weighted at run time "
                           "(set admin.state_file to keep that)");
  }
  if (next == state_ && !reset) return;
  if (Status status = Keep(next); !status.ok()) Log(LogLevel::kError, "{}", status.detail());
  state_ = std::move(next);
}

Status Controller::Keep(const RuntimeState& state) {
  Result<UniqueFd> text = MakeSealedMemfd("ultrabalancer-state", state.ToText());
  if (!text) return text.error();
  Message message;
  message.type = MessageType::kRuntimeState;
  message.arg = ++states_kept_;
  if (state.Empty()) message.payload = "none";
  message.fds.push_back(std::move(*text));
  const Result<bool> sent = child_->channel.Send(message);
  if (!sent) return sent.error();
  if (!*sent) return Status(StatusCode::kUnavailable, StatusSource::kProxy, "the master is busy (try again)");
  const uint64_t until = MonotonicMs() + kKeepMs;
  for (uint64_t now = MonotonicMs(); now < until; now = MonotonicMs()) {
    pollfd polled{child_->channel.fd(), POLLIN, 0};
    (void)poll(&polled, 1, static_cast<int>(until - now));
    Result<std::optional<Message>> received = child_->channel.Receive();
    if (!received) return received.error();
    if (!received->has_value()) continue;
    if ((*received)->type != MessageType::kStateKept) {
      deferred_.push_back(std::move(**received));
      loop_->RunSoon(&deferred_task_);
    } else if ((*received)->arg == states_kept_) {
      if ((*received)->payload.empty()) return Status::Ok();
      return Status(StatusCode::kSystem, StatusSource::kSystem, (*received)->payload);
    }
  }
  // It has the message and keeps it when it comes to it.
  Log(LogLevel::kWarn, "the master has not yet confirmed a change at run time");
  return Status::Ok();
}

void Controller::OnDeferred(void* self) {
  auto* controller = static_cast<Controller*>(self);
  std::vector<Message> messages = std::move(controller->deferred_);
  controller->deferred_.clear();
  for (Message& message : messages) controller->Handle(std::move(message));
}

Status Controller::Change(RuntimeState next) {
  std::erase_if(next.changes, [](const auto& entry) { return entry.second.empty(); });
  if (Status status = Keep(next); !status.ok()) return status;
  RuntimeState before = std::move(state_);
  state_ = std::move(next);
  Status status = ApplyBackends();
  if (status.ok()) return status;
  state_ = std::move(before);
  (void)Keep(state_);
  if (Status undone = ApplyBackends(); !undone.ok()) Log(LogLevel::kError, "backends: {}", undone.ToString());
  return status;
}

bool Controller::Override(BackendSpec* spec) {
  const RuntimeChange change = state_.Find(*spec);
  if (change.removed) {
    // Stays, drained, while something is in flight there and its time is not up.
    const auto waiting = removing_.find(spec->text);
    if (waiting == removing_.end()) return false;
    const uint32_t slot = table_.Find(kDefaultPool, spec->text);
    const bool busy = slot != kNoSlot && child_->shm->InFlight(slot) > 0;
    if (busy && loop_->now_ns() < waiting->second) return true;
    removing_.erase(waiting);
    return false;
  }
  removing_.erase(spec->text);
  if (change.weight != 0) spec->weight = change.weight;
  return true;
}

void Controller::ApplyDrains(const std::vector<BackendSpec>& specs) {
  for (const BackendSpec& spec : specs) {
    const uint32_t slot = table_.Find(kDefaultPool, spec.text);
    if (slot == kNoSlot) continue;
    const RuntimeChange change = state_.Find(spec);
    const AdminState wanted = change.drained || change.removed ? AdminState::kDrain : AdminState::kReady;
    const auto now = static_cast<AdminState>(child_->shm->slot(slot).admin.load(std::memory_order_relaxed));
    if (now != wanted) (void)table_.SetAdmin(slot, wanted);
  }
}

// The slots that an address means: its own, or those behind a name of the configuration.
std::vector<uint32_t> Controller::SlotsOf(std::string_view address) const {
  std::vector<uint32_t> slots;
  const uint32_t own = table_.Find(kDefaultPool, address);
  if (own != kNoSlot) return {own};
  auto specs = BackendSpecs(Wanted(), known_);
  if (!specs) return {};
  for (const BackendSpec& spec : *specs) {
    const uint32_t slot = spec.given == address ? table_.Find(kDefaultPool, spec.text) : kNoSlot;
    if (slot != kNoSlot) slots.push_back(slot);
  }
  return slots;
}

Status Controller::LearnName(const BackendConfig& backend) {
  Config alone;
  alone.backends = {backend};
  for (const std::string& name : HostNames(alone)) {
    if (known_.contains(name)) continue;
    HostAnswer answer = LookUpHost(name);
    if (!answer.error.empty()) return Status::Config(answer.error);
    known_.emplace(name, std::move(answer));
  }
  return Status::Ok();
}

Status Controller::AddBackend(const BackendConfig& backend) {
  const std::string address = backend.AddressText();
  const auto known = state_.changes.find(address);
  const bool leaving = known != state_.changes.end() && known->second.removed;
  if (!leaving && !SlotsOf(address).empty()) {
    return Status(StatusCode::kExists, StatusSource::kConfig, fmt::format("backend {} exists already", address));
  }
  // A new name is looked up here and now, so that whoever adds it learns whether it stands for anything.
  if (Status status = LearnName(backend); !status.ok()) return status;
  RuntimeState next = state_;
  RuntimeChange& change = next.changes[address];
  const auto& configured = child_->config->backends;
  const bool in_file = std::any_of(configured.begin(), configured.end(), [&](const BackendConfig& each) {
    return each.AddressText() == address;
  });
  change = RuntimeChange();
  change.added = !in_file;
  change.weight = backend.weight;
  change.max_connections = backend.max_connections;
  change.backup = backend.backup;
  change.h2 = backend.h2;
  change.name = backend.name;
  const RuntimeState before = state_;
  if (Status status = Change(std::move(next)); !status.ok()) {
    // A name that cannot be resolved is a bad address, not a backend that is missing.
    if (status.code() != StatusCode::kNotFound) return status;
    return Status(StatusCode::kInvalid, StatusSource::kConfig, status.detail());
  }
  if (!SlotsOf(address).empty()) {
    if (!resolve_.active()) Resolve();  // from now on the name is followed
    return Status::Ok();
  }
  // Slots of backends that were removed are still in use.
  (void)Change(before);
  return Status(StatusCode::kExhausted, StatusSource::kConfig,
                "removed backends still hold the table's last slots (try again when their requests have ended)");
}

Status Controller::RemoveBackend(std::string_view address, uint32_t* in_flight) {
  const std::vector<uint32_t> slots = SlotsOf(address);
  const std::string key(address);
  const auto known = state_.changes.find(key);
  if (slots.empty() || (known != state_.changes.end() && known->second.removed)) return NotThere(address);
  const uint64_t until = loop_->now_ns() + uint64_t{child_->config->timeout.drain_ms} * 1'000'000;
  *in_flight = 0;
  for (const uint32_t slot : slots) {
    *in_flight += child_->shm->InFlight(slot);
    removing_[child_->shm->slot(slot).address_text] = until;
  }
  RuntimeState next = state_;
  next.changes[key].removed = true;
  Status status = Change(std::move(next));
  if (!status.ok()) {
    for (const uint32_t slot : slots) removing_.erase(child_->shm->slot(slot).address_text);
    return status;
  }
  removal_.Set(loop_->now_ns() + kRemovalNs);
  return status;
}

void Controller::OnRemoval(void* self) {
  auto* controller = static_cast<Controller*>(self);
  const uint64_t now = controller->loop_->now_ns();
  bool due = false;
  for (const auto& [text, until] : controller->removing_) {
    const uint32_t slot = controller->table_.Find(kDefaultPool, text);
    due |= slot == kNoSlot || now >= until || controller->child_->shm->InFlight(slot) == 0;
  }
  if (due) {
    if (Status status = controller->ApplyBackends(); !status.ok()) {
      Log(LogLevel::kError, "backends: {}", status.ToString());
    }
  }
  if (!controller->removing_.empty()) {
    controller->removal_.Set(now + kRemovalNs);
    return;
  }
  // What was added and removed again leaves no trace.
  std::erase_if(controller->state_.changes, [](const auto& entry) {
    return entry.second.added && entry.second.removed;
  });
}

Status Controller::SetWeight(std::string_view address, uint32_t weight) {
  const auto known = state_.changes.find(std::string(address));
  const bool leaving = known != state_.changes.end() && known->second.removed;
  if (leaving || SlotsOf(address).empty()) return NotThere(address);
  RuntimeState next = state_;
  next.changes[std::string(address)].weight = weight;
  return Change(std::move(next));
}

Status Controller::SetDrain(std::string_view address, bool drain) {
  const auto known = state_.changes.find(std::string(address));
  const bool leaving = known != state_.changes.end() && known->second.removed;
  if (leaving || SlotsOf(address).empty()) return NotThere(address);
  RuntimeState next = state_;
  next.changes[std::string(address)].drained = drain;
  return Change(std::move(next));
}

Status Controller::RequestReload(uint64_t ticket, bool reset) {
  Message request;
  request.type = MessageType::kReloadRequest;
  request.arg = ticket;
  const Result<bool> sent = child_->channel.Send(request);
  if (!sent) return sent.error();
  if (!*sent) return Status(StatusCode::kUnavailable, StatusSource::kProxy, "the master is busy");
  reset_pending_ = reset_pending_ || reset;
  return Status::Ok();
}

}  // namespace ub
