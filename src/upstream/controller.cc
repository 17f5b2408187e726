#include "upstream/controller.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/config_resolve.h"
#include "core/config_serialize.h"
#include "core/log.h"
#include "core/log_files.h"
#include "core/sealed_memfd.h"

namespace ub {
namespace {

constexpr uint64_t kRetryNs = 100'000'000;  // while removed slots are still in use
constexpr uint64_t kResolveRetryNs = 1'000'000'000;  // while a name that was never known cannot be looked up

bool KnowsAll(const std::vector<std::string>& names, const HostAnswers& answers) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) { return answers.contains(name); });
}

std::string AddressesText(const HostAnswer& answer) {
  std::string text;
  for (const HostAddress& address : answer.addresses) text += (text.empty() ? "" : ", ") + AddressText(address);
  return text;
}

}  // namespace

Result<std::vector<BackendSpec>> BackendSpecs(const Config& config, const HostAnswers& answers) {
  const ResolveResult resolved = AssembleBackends(config, answers);
  if (!resolved.failures.empty()) {
    return Fail(Status(StatusCode::kNotFound, StatusSource::kConfig, resolved.failures.front().text, true));
  }
  std::vector<BackendSpec> specs;
  specs.reserve(resolved.backends.size());
  for (const ResolvedBackend& each : resolved.backends) {
    const BackendConfig& backend = config.backends[each.index];
    BackendSpec spec;
    spec.address = each.address;
    spec.bytes = each.length;
    spec.text = each.text;
    spec.given = backend.AddressText();
    spec.host = backend.host;
    spec.name = backend.name;
    spec.weight = backend.weight;
    spec.max_connections = backend.max_connections;
    spec.order = static_cast<uint32_t>(specs.size());
    spec.backup = backend.backup;
    spec.h2 = backend.h2;
    specs.push_back(std::move(spec));
  }
  return specs;
}

Status PrepareBackends(const Config& config, ShmSegment& shm) {
  RuntimeState state;
  if (!config.admin.state_file.empty()) {
    auto loaded = RuntimeState::Load(config.admin.state_file);
    // The controller reads it again and says what is wrong.
    if (loaded) state = std::move(*loaded);
  }
  const Config wanted = state.WithAdded(config);
  HostAnswers answers;
  for (const std::string& host : HostNames(wanted)) answers.emplace(host, LookUpHost(host));
  auto specs = BackendSpecs(wanted, answers);
  if (!specs) return specs.error();
  std::erase_if(*specs, [&](BackendSpec& spec) { return !state.Overlay(&spec); });
  return BackendTable(shm).Apply(kDefaultPool, *specs);
}

Controller::Controller(ChildContext* child, std::unique_ptr<EventLoop> loop, HealthProbeFactory* probes,
                       ManagementService* management)
    : child_(child),
      loop_(std::move(loop)),
      table_(*child->shm),
      checker_(loop_.get(), child->shm, &table_, probes),
      retry_(loop_.get(), &Controller::OnRetry, this),
      resolver_(loop_.get(), [this](const HostAnswers& answers) { OnResolved(answers); }),
      resolve_(loop_.get(), &Controller::OnResolveTime, this),
      certificates_(loop_.get()),
      management_(management),
      removal_(loop_.get(), &Controller::OnRemoval, this) {}

int Controller::Run() {
  if (Status status = channel_watcher_.Watch<&Controller::OnChannel>(loop_.get(), child_->channel.fd(), FdWatcher::kRead, this);
      !status.ok()) {
    Log(LogLevel::kError, "cannot follow the master: {}", status.ToString());
    return 1;
  }
  LoadState();
  RecallNames();
  // The table stands, filled by the master or by the controller before this one: nobody waits for names here.
  TakeBackends();
  unacknowledged_ = false;
  StartManagement();
  child_->shm->row(child_->row).config_ack.store(child_->generation, std::memory_order_release);
  Message ready;
  ready.type = MessageType::kReady;
  ready.arg = child_->generation;
  (void)child_->channel.Send(ready);
  loop_->Run();
  if (management_ != nullptr) management_->Stop();
  return 0;
}

Status Controller::NamesKnown() const {
  if (KnowsAll(HostNames(Wanted()), known_)) return Status::Ok();
  return Status(StatusCode::kUnavailable, StatusSource::kProxy, "names of a new configuration are being looked up (try again)");
}

void Controller::RecallNames() {
  const std::vector<std::string> names = HostNames(Wanted());
  const std::set<std::string_view> wanted(names.begin(), names.end());
  const uint32_t top = child_->shm->header().backend_high_water.load(std::memory_order_acquire);
  for (uint32_t b = 0; b < top; ++b) {
    const BackendSlot& slot = child_->shm->slot(b);
    if (static_cast<SlotState>(slot.state.load(std::memory_order_acquire)) != SlotState::kActive) continue;
    if (wanted.contains(slot.host)) AddAddress(slot.address, slot.address_bytes, &known_[slot.host]);
  }
}

void Controller::OnChannel(void* self, unsigned) {
  auto* controller = static_cast<Controller*>(self);
  for (;;) {
    auto message = controller->child_->channel.Receive();
    if (!message && message.error().code() == StatusCode::kExhausted) {
      // Its descriptors had no room here, and it is lost: nearly always a configuration, whose reload has then failed. The
      // next controller begins with what is in force.
      controller->Acknowledge(message.error().detail());
      controller->loop_->Stop();
      return;
    }
    if (!message) {  // the master is gone; there is nothing of a client's to finish here
      controller->loop_->Stop();
      return;
    }
    if (!controller->deferred_.empty()) OnDeferred(self);
    if (!message->has_value()) return;
    controller->Handle(std::move(**message));
  }
}

void Controller::Handle(Message message) {
  switch (message.type) {
    case MessageType::kConfig:
      TakeConfig(message);
      return;
    case MessageType::kDrain:
      draining_ = true;  // goes on answering for the workers; kStop comes when they are gone
      return;
    case MessageType::kStop:
      if (management_ == nullptr) return loop_->Stop();
      management_->Leave([this] { loop_->Stop(); });
      return;
    case MessageType::kListeners:
      if (management_ != nullptr) management_->TakeListeners(std::move(message.fds));
      return;
    case MessageType::kReloadHandedOut:
    case MessageType::kReloadResult:
      reset_pending_ = false;
      if (management_ != nullptr) {
        management_->OnReloadResult(message.arg, message.payload, message.type == MessageType::kReloadResult);
      }
      return;
    case MessageType::kStateKept:  // later than anybody waited for
      if (!message.payload.empty()) Log(LogLevel::kError, "a change at run time was made and not kept: {}", message.payload);
      return;
    case MessageType::kReopen:
      TakeReopenedLogs(std::move(message), &child_->access_log_fd);
      return;
    default:
      return;  // who accepts from which of the proxy's sockets is the workers' business
  }
}

void Controller::TakeConfig(const Message& message) {
  if (message.fds.empty()) return;
  Result<std::string> text = ReadSealedMemfd(message.fds[0].get());
  Result<Config> config = text ? ParseSerializedConfig(*text) : Fail(text.error());
  if (!config) {
    Acknowledge(config.error().ToString());
    return;
  }
  child_->config = std::make_shared<const Config>(std::move(*config));
  child_->generation = message.arg;
  SetLogLevel(child_->config->logging.level);
  ReloadState(message.fds.size() > 1 ? message.fds[1].get() : -1);
  unacknowledged_ = true;
  TakeBackends();
}

void Controller::TakeBackends() {
  certificates_.Configure(child_->config->tls);
  if (KnowsAll(HostNames(Wanted()), known_)) {
    Settle(ApplyBackends());
  } else {
    checker_.Configure(child_->config);
  }
  // Known names are looked up anew too: a reload is when people expect it.
  Resolve();
}

void Controller::Settle(const Status& status) {
  if (status.ok()) child_->shm->row(child_->row).config_ack.store(child_->generation, std::memory_order_release);
  if (unacknowledged_) {
    Acknowledge(status.ok() ? std::string() : status.ToString());
  } else if (!status.ok()) {
    Log(LogLevel::kError, "backends: {}", status.ToString());
  }
  unacknowledged_ = false;
}

void Controller::Resolve() {
  resolve_.Cancel();
  std::vector<std::string> names = HostNames(Wanted());
  if (names.empty()) return;
  if (Status status = resolver_.Ask(std::move(names)); !status.ok()) {
    Log(LogLevel::kError, "names of backends are not looked up: {}", status.ToString());
    resolve_.Set(loop_->now_ns() + kResolveRetryNs);
  }
}

void Controller::OnResolveTime(void* self) { static_cast<Controller*>(self)->Resolve(); }

bool Controller::Learn(const HostAnswers& answers) {
  bool changed = false;
  for (const auto& [name, answer] : answers) {
    const auto known = known_.find(name);
    const bool is_known = known != known_.end();
    if (!answer.error.empty()) {
      const bool news = failing_.insert(name).second;  // said once, not every interval
      if (news && is_known) {
        Log(LogLevel::kWarn, "{} (the addresses known so far stay: {})", answer.error, AddressesText(known->second));
      } else if (news) {
        Log(LogLevel::kError, "{}", answer.error);
      }
      continue;
    }
    if (failing_.erase(name) > 0) Log(LogLevel::kNotice, "{} can be resolved again", name);
    if (is_known && known->second == answer) continue;
    if (is_known) {
      Log(LogLevel::kNotice, "{} is {} now (was {})", name, AddressesText(answer), AddressesText(known->second));
    }
    known_[name] = answer;
    changed = true;
  }
  return changed;
}

void Controller::OnResolved(const HostAnswers& answers) {
  learned_ |= Learn(answers);
  const std::vector<std::string> names = HostNames(Wanted());
  const auto unwanted = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) == names.end();
  };
  std::erase_if(known_, [&](const auto& entry) { return unwanted(entry.first); });
  std::erase_if(failing_, unwanted);
  // A configuration came meanwhile, and its own question is on its way.
  if (!KnowsAll(names, answers)) return;
  const bool missing = !KnowsAll(names, known_);
  if (std::exchange(learned_, false) || unacknowledged_) Settle(ApplyBackends());
  const uint64_t interval = MsToNs(child_->config->resolve_interval_ms);
  if (missing) {
    resolve_.Set(loop_->now_ns() + kResolveRetryNs);
  } else if (interval > 0) {
    resolve_.Set(loop_->now_ns() + interval);
  }
}

Status Controller::ApplyBackends() {
  retry_.Cancel();
  auto specs = BackendSpecs(Wanted(), known_);
  if (!specs) return specs.error();
  std::erase_if(*specs, [this](BackendSpec& spec) { return !Override(&spec); });
  Status status = table_.Apply(kDefaultPool, *specs);
  checker_.Configure(child_->config);
  if (!status.ok() && status.retryable()) {
    // An idle worker sleeps and has not seen the table that lacks what was removed.
    Message wake;
    wake.type = MessageType::kWakeWorkers;
    (void)child_->channel.Send(wake);
    retry_.Set(loop_->now_ns() + kRetryNs);
    return Status::Ok();
  }
  return status;
}

void Controller::OnRetry(void* self) {
  auto* controller = static_cast<Controller*>(self);
  if (Status status = controller->ApplyBackends(); !status.ok()) Log(LogLevel::kError, "backends: {}", status.ToString());
}

void Controller::Acknowledge(std::string error) {
  Message ack;
  ack.type = MessageType::kConfigAck;
  ack.arg = child_->generation;
  ack.payload = std::move(error);
  (void)child_->channel.Send(ack);
}

int ControllerMain(ChildContext& child, HealthProbeFactory* probes, ManagementService* management) {
  auto loop = EventLoop::Create();
  if (!loop) {
    Log(LogLevel::kError, "{}", loop.error().ToString());
    return 1;
  }
  return Controller(&child, std::move(*loop), probes, management).Run();
}

}  // namespace ub
