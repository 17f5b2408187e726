#include "upstream/controller.h"

#include "core/config_resolve.h"
#include "core/config_serialize.h"
#include "core/log.h"
#include "core/log_files.h"
#include "core/sealed_memfd.h"

namespace ub {
namespace {

constexpr uint32_t kDefaultPool = 0;
constexpr uint64_t kRetryNs = 100'000'000;  // while removed slots are still in use

}  // namespace

Result<std::vector<BackendSpec>> BackendSpecs(const Config& config) {
  auto resolved = ResolveBackends(config);
  if (!resolved) return Fail(resolved.error());
  std::vector<BackendSpec> specs;
  specs.reserve(resolved->size());
  for (const ResolvedBackend& each : *resolved) {
    const BackendConfig& backend = config.backends[each.index];
    BackendSpec spec;
    spec.address = each.address;
    spec.bytes = each.length;
    spec.text = each.text;
    spec.name = backend.name;
    spec.weight = backend.weight;
    spec.max_connections = backend.max_connections;
    spec.order = static_cast<uint32_t>(specs.size());
    spec.backup = backend.backup;
    specs.push_back(std::move(spec));
  }
  return specs;
}

Status PrepareBackends(const Config& config, ShmSegment& shm) {
  auto specs = BackendSpecs(config);
  if (!specs) return specs.error();
  return BackendTable(shm).Apply(kDefaultPool, *specs);
}

Controller::Controller(ChildContext* child, std::unique_ptr<EventLoop> loop, HealthProbeFactory* probes)
    : child_(child),
      loop_(std::move(loop)),
      table_(*child->shm),
      checker_(loop_.get(), child->shm, &table_, probes),
      retry_(&loop_->timers(), &Controller::OnRetry, this) {}

int Controller::Run() {
  if (Status status = channel_watcher_.Watch(loop_.get(), child_->channel.fd(), FdWatcher::kRead,
                                             &Controller::OnChannel, this);
      !status.ok()) {
    Log(LogLevel::kError, "cannot follow the master: {}", status.ToString());
    return 1;
  }
  if (Status status = ApplyBackends(); !status.ok()) Log(LogLevel::kError, "backends: {}", status.ToString());
  ProcessRow& row = child_->shm->row(child_->row);
  row.config_ack.store(child_->generation, std::memory_order_release);
  Message ready;
  ready.type = MessageType::kReady;
  ready.arg = child_->generation;
  (void)child_->channel.Send(ready);
  loop_->Run();
  return 0;
}

void Controller::OnChannel(void* self, unsigned) {
  auto* controller = static_cast<Controller*>(self);
  for (;;) {
    auto message = controller->child_->channel.Receive();
    if (!message) {  // the master is gone; there is nothing of a client's to finish here
      controller->loop_->Stop();
      return;
    }
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
    case MessageType::kStop:
      loop_->Stop();
      return;
    case MessageType::kReopen:
      TakeReopenedLogs(std::move(message), &child_->access_log_fd);
      return;
    default:
      return;  // listening sockets and their owners are the workers' business
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
  const Status status = ApplyBackends();
  if (status.ok()) child_->shm->row(child_->row).config_ack.store(message.arg, std::memory_order_release);
  Acknowledge(status.ok() ? std::string() : status.ToString());
}

Status Controller::ApplyBackends() {
  retry_.Cancel();
  auto specs = BackendSpecs(*child_->config);
  if (!specs) return specs.error();
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

int ControllerMain(ChildContext& child, HealthProbeFactory* probes) {
  auto loop = EventLoop::Create();
  if (!loop) {
    Log(LogLevel::kError, "{}", loop.error().ToString());
    return 1;
  }
  return Controller(&child, std::move(*loop), probes).Run();
}

}  // namespace ub
