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

// The master answers at once, unless it looks up names for a reload.
constexpr uint64_t kKeepMs = 2000;
constexpr uint64_t kRemovalNs = 20'000'000;  // how often a removed backend is looked at

// What is given of a backend that the configuration has is no other than there, or was not given.
bool FitsFile(const BackendConfig& given, const BackendConfig& file) {
  return (given.max_connections == 0 || given.max_connections == file.max_connections) &&
         (!given.backup || file.backup) && (!given.h2 || file.h2) && (given.name.empty() || given.name == file.name);
}

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
    if (!received && received.error().code() == StatusCode::kExhausted) {  // another message, and lost: see OnChannel
      Acknowledge(received.error().detail());
      loop_->Stop();
      continue;
    }
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
  if (!state_.Overlay(spec)) {
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
  return true;
}

std::vector<BackendSpec> Controller::SpecsOf(std::string_view address) const {
  std::vector<BackendSpec> own, named;
  auto specs = BackendSpecs(Wanted(), known_);
  if (!specs) return {};
  for (BackendSpec& spec : *specs) {
    if (state_.Find(spec).removed) continue;
    if (spec.text == address) {
      own.push_back(std::move(spec));
    } else if (spec.given == address) {
      named.push_back(std::move(spec));
    }
  }
  return own.empty() ? named : own;
}

std::vector<uint32_t> Controller::SlotsOf(std::string_view address) const {
  std::vector<uint32_t> slots;
  for (const BackendSpec& spec : SpecsOf(address)) {
    const uint32_t slot = table_.Find(kDefaultPool, spec.text);
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

Controller::Given Controller::GivenAs(const std::string& address) const {
  Given out;
  RuntimeState without = state_;
  without.changes.erase(address);
  const auto specs = BackendSpecs(*child_->config, known_);
  if (!specs) return out;
  for (const BackendSpec& spec : *specs) {
    if (spec.text != address && spec.given != address) continue;
    out.there |= spec.given == address || !without.Find(spec).removed;
    for (const BackendConfig& each : child_->config->backends) {
      if (each.AddressText() == spec.given) out.file = &each;
    }
  }
  return out;
}

Status Controller::AddBackend(const BackendConfig& backend) {
  if (Status status = NamesKnown(); !status.ok()) return status;
  const std::string address = backend.AddressText();
  const Status exists(StatusCode::kExists, StatusSource::kConfig, fmt::format("backend {} exists already", address));
  if (!SlotsOf(address).empty()) return exists;
  const Given given = GivenAs(address);
  if (given.file != nullptr && !FitsFile(backend, *given.file)) {
    return Status(StatusCode::kInvalid, StatusSource::kConfig,
                  fmt::format("backend {} comes back as it is configured (give address and weight only)", address));
  }
  // A new name is looked up here and now, so that whoever adds it learns whether it stands for anything.
  if (Status status = LearnName(backend); !status.ok()) return status;
  RuntimeState next = state_;
  RuntimeChange& change = next.changes[address];
  change = RuntimeChange();
  change.added = !given.there;
  change.weight = backend.weight;
  change.max_connections = backend.max_connections;
  change.backup = backend.backup;
  change.h2 = backend.h2;
  change.name = backend.name;
  const RuntimeState before = state_;
  if (Status status = Change(std::move(next)); !status.ok()) return status;
  if (!SlotsOf(address).empty()) {
    if (!resolve_.active()) Resolve();  // from now on the name is followed
    return Status::Ok();
  }
  // Slots of backends that were removed are still in use, or all that the name stands for was there before.
  const bool full = retry_.active();
  (void)Change(before);
  if (!full && given.there) {
    return Status(StatusCode::kInvalid, StatusSource::kConfig,
                  fmt::format("the addresses of {} were removed one by one: add those", address));
  }
  if (!full) return exists;
  return Status(StatusCode::kExhausted, StatusSource::kConfig,
                "removed backends still hold the table's last slots (try again when their requests have ended)");
}

Status Controller::RemoveBackend(std::string_view address, uint32_t* in_flight) {
  if (Status status = NamesKnown(); !status.ok()) return status;
  const std::vector<uint32_t> slots = SlotsOf(address);
  if (slots.empty()) return NotThere(address);
  const uint64_t until = loop_->now_ns() + MsToNs(child_->config->timeout.drain_ms);
  *in_flight = 0;
  for (const uint32_t slot : slots) {
    *in_flight += child_->shm->InFlight(slot);
    removing_[child_->shm->slot(slot).address_text] = until;
  }
  RuntimeState next = state_;
  next.changes[std::string(address)].removed = true;
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
  std::erase_if(controller->removing_, [&](const auto& entry) {
    const uint32_t slot = controller->table_.Find(kDefaultPool, entry.first);
    // Gone for another reason: with its configuration, or because its name stands for something else now.
    if (slot == kNoSlot) return true;
    due |= now >= entry.second || controller->child_->shm->InFlight(slot) == 0;
    return false;
  });
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
  if (Status status = NamesKnown(); !status.ok()) return status;
  if (SlotsOf(address).empty()) return NotThere(address);
  RuntimeState next = state_;
  next.changes[std::string(address)].weight = weight;
  return Change(std::move(next));
}

Status Controller::SetDrain(std::string_view address, bool drain) {
  if (Status status = NamesKnown(); !status.ok()) return status;
  const std::vector<BackendSpec> specs = SpecsOf(address);
  if (specs.empty()) return NotThere(address);
  RuntimeState next = state_;
  next.changes[std::string(address)].drained = drain;
  for (const BackendSpec& spec : specs) {
    if (drain || spec.text != address || !next.Find(spec).drained) continue;
    return Status(StatusCode::kInvalid, StatusSource::kConfig,
                  fmt::format("backend {} is drained as {}: give that", address, spec.given));
  }
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
