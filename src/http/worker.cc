#include "http/worker.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "core/admission.h"
#include "core/clock.h"
#include "core/config_serialize.h"
#include "core/log.h"
#include "core/log_files.h"
#include "core/sealed_memfd.h"
#include "http/http1_server.h"
#include "http/http2_server.h"

namespace ub {
namespace {

constexpr uint64_t kOrphanGraceNs = 50'000'000;

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<uintptr_t>(&seed);
  return seed;  // NOLINT(clang-analyzer-core.StackAddressEscape): a number, of which nobody makes a pointer
}

std::vector<uint32_t> Indexes(const std::string& payload) {
  std::vector<uint32_t> out(payload.size() / sizeof(uint32_t));
  std::memcpy(out.data(), payload.data(), out.size() * sizeof(uint32_t));
  return out;
}

}  // namespace

Worker::Worker(ChildContext* child, std::unique_ptr<EventLoop> loop)
    : child_(child),
      loop_(std::move(loop)),
      group_(*child->shm, child->row, kDefaultPool, child->worker_id),
      pool_(loop_.get(), child->shm, child->row),
      http2_clients_(loop_.get(), &pool_),
      places_(*child->shm, child->row),
      access_log_(loop_.get()),
      queue_(loop_.get(), &child->shm->row(child->row).queued),
      drain_deadline_(loop_.get(), &Worker::OnDrainDeadline, this),
      orphan_grace_(loop_.get(), &Worker::OnOrphanGrace, this) {
  context_.loop = loop_.get();
  context_.owner = this;
  context_.shm = child->shm;
  context_.row = child->row;
  context_.counters = &child->shm->row(child->row);
  context_.group = &group_;
  context_.pool = &pool_;
  context_.http2_clients = &http2_clients_;
  context_.places = &places_;
  context_.access_log = &access_log_;
  context_.queue = &queue_;
  context_.random = Random(RandomSeed());
  context_.config = child->config;
  context_.handover_fd = child->handover_fd;
}

Worker::~Worker() {
  listeners_.clear();
  // While what they give back to is there; nothing of theirs is on the stack any more.
  servers_.clear();
}

int Worker::Run() {
  if (Status status = LoadCertificates(*context_.config); !status.ok()) {
    Log(LogLevel::kError, "{}", status.detail());
    return 1;
  }
  Configure();
  group_.Refresh();
  loop_->set_turn_hook([this] { TurnBegins(); });
  if (Status status = channel_watcher_.Watch<&Worker::OnChannel>(loop_.get(), child_->channel.fd(), FdWatcher::kRead, this);
      !status.ok()) {
    Log(LogLevel::kError, "cannot follow the master: {}", status.ToString());
    return 1;
  }
  FollowOwners();
  SendReady();
  context_.counters->config_ack.store(child_->generation, std::memory_order_release);
  loop_->Run();
  return 0;
}

void Worker::SendReady() {
  Message ready;
  ready.type = MessageType::kReady;
  ready.arg = child_->generation;
  (void)child_->channel.Send(ready);
}

void Worker::TurnBegins() {
  context_.sessions.Recycle();
  context_.http2_attempts.Recycle();
  if (group_.Refresh()) {
    // Connections to backends that are no longer there, or whose slot has another tenant or protocol, serve nobody.
    const auto keep = [this](BackendProtocol protocol) {
      return [this, protocol](uint32_t slot, uint32_t generation) {
        const BackendSlot& at = child_->shm->slot(slot);
        return at.state.load(std::memory_order_acquire) == static_cast<uint32_t>(SlotState::kActive) &&
               at.protocol.load(std::memory_order_acquire) == static_cast<uint32_t>(protocol) &&
               at.generation.load(std::memory_order_acquire) == generation;
      };
    };
    pool_.CloseUnless(keep(BackendProtocol::kHttp1));
    http2_clients_.CloseUnless(keep(BackendProtocol::kHttp2));
  }
}

Status Worker::LoadCertificates(const Config& config) {
  std::shared_ptr<const TlsServerContext> tls = context_.tls;
  if (config.tls.certificates.empty()) {
    tls = nullptr;
  } else if (context_.tls == nullptr || config.tls != context_.config->tls ||
             config.http2.enabled != context_.config->http2.enabled) {
    TlsConfig wanted = config.tls;
    if (!config.http2.enabled) std::erase(wanted.alpn, "h2");
    auto made = TlsServerContext::Create(wanted, &child_->shm->header());
    if (!made) return made.error();
    tls = std::move(*made);
  }
  bool changed = false;
  if (Status status = context_.security.Configure(config, &changed); !status.ok()) return status;
  if (changed) {
    pool_.Renew();
    http2_clients_.Renew();
  }
  context_.tls = std::move(tls);
  return Status::Ok();
}

void Worker::Configure() {
  SetLogLevel(context_.config->logging.level);
  context_.settings = {NetworkSet(context_.config->forwarded.trust), NetworkSet(context_.config->proxy_protocol.trust),
                       RequestKey(context_.config->hash_key), {}};
  if (const uint32_t seconds = context_.config->tls.hsts_seconds; seconds != 0) {
    context_.settings.hsts = "Strict-Transport-Security: max-age=" + std::to_string(seconds) + "\r\n";
  }
  context_.stages.Configure(*context_.config, *child_->shm, context_.random.Next());
  access_log_.Configure(context_.config->logging, child_->access_log_fd);
  group_.Configure(*context_.config);
  pool_.Configure(context_.config->connection_pool);
  http2_clients_.Configure(context_.config);
  queue_.Configure(context_.config->queue);
  child_->sockets->MarkProtocols(context_.config->listen);
}

bool Worker::TakePlace(bool beyond) {
  return ReserveConnection(*child_->shm, child_->row, beyond ? 0 : context_.config->max_connections);
}

void Worker::GiveBackPlace() { Unreserve(context_.counters->connections); }

void Worker::OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& listener) {
  Add(context_.counters->accepted);
  auto server = std::make_unique<Http1Server>(&context_, std::move(fd), PeerAddress::From(peer), listener.tls(),
                                              listener.h2c() && context_.config->http2.enabled);
  if (!server->Admit()) {
    GiveBackPlace();
    return;
  }
  server->place_ = static_cast<uint32_t>(servers_.size());
  if (Status status = server->Start(); !status.ok()) {
    Log(LogLevel::kError, "a connection is dropped: {}", status.ToString());
    GiveBackPlace();
    return;
  }
  servers_.push_back(std::move(server));
}

void Worker::OnHttp2(ClientConnection* server, ClientParts parts, std::string_view bytes) {
  auto next = std::make_unique<Http2Server>(&context_, std::move(parts));
  Http2Server* const started = next.get();
  const uint32_t place = server->place_;
  next->place_ = place;
  loop_->Retire(std::move(servers_[place]));
  servers_[place] = std::move(next);
  started->Start(bytes);
}

void Worker::OnServerClosed(ClientConnection* server) {
  const uint32_t place = server->place_;
  loop_->Retire(std::move(servers_[place]));
  if (place + 1 != servers_.size()) {
    servers_[place] = std::move(servers_.back());
    servers_[place]->place_ = place;
  }
  servers_.pop_back();
  GiveBackPlace();
  LeaveIfDone();
}

void Worker::OnChannel(void* self, unsigned) {
  auto* worker = static_cast<Worker*>(self);
  for (;;) {
    auto message = worker->child_->channel.Receive();
    if (!message && message.error().code() == StatusCode::kExhausted) {
      // Its descriptors had no room here, and it is lost: nearly always a configuration, whose reload has then failed. To
      // take that for the master's end would have new clients refused everywhere.
      worker->Acknowledge(message.error().detail());
      continue;
    }
    if (!message) {
      // The master is gone: finish what is under way and leave, so that nobody holds the port as an orphan.
      worker->channel_watcher_.Unwatch();
      worker->OnMasterGone();
      return;
    }
    if (!message->has_value()) return;
    worker->Handle(std::move(**message));
  }
}

// Nobody hands the sockets on any more, and all workers are about to close them: as in a quit, new connections are
// refused first, handshakes under way get a moment, and then everybody empties every queue.
void Worker::OnMasterGone() {
  Log(LogLevel::kWarn, "the master is gone, draining");
  // During an upgrade the other master goes on with them.
  if (child_->peer_master != 0) {
    Drain(context_.config->timeout.drain_ms);
    return;
  }
  for (const ListenSocket& socket : child_->sockets->sockets()) {
    if (!socket.passed) (void)RefuseNewConnections(socket.fd.get());
  }
  orphan_grace_.Set(loop_->now_ns() + kOrphanGraceNs);
}

void Worker::OnOrphanGrace(void* self) {
  auto* worker = static_cast<Worker*>(self);
  worker->listeners_.clear();
  for (const ListenSocket& socket : worker->child_->sockets->sockets()) {
    Listener listener(worker->loop_.get(), socket.fd.get(), worker);
    listener.set_protocols(socket.tls, socket.h2c);
    listener.Drain();
  }
  worker->Drain(worker->context_.config->timeout.drain_ms);
}

void Worker::Handle(Message message) {
  switch (message.type) {
    case MessageType::kConfig:
      if (!message.fds.empty()) TakeConfig(std::move(message.fds[0]), message.arg);
      return;
    case MessageType::kListeners:
      child_->sockets->Adopt(message.payload, std::move(message.fds));
      FollowOwners();
      return;
    case MessageType::kRemoveListeners:
      RemoveSockets(message);
      return;
    case MessageType::kOwners:
      FollowOwners();
      return;
    case MessageType::kDrain:
      Drain(message.arg);
      return;
    case MessageType::kResume:
      context_.draining = false;
      drain_deadline_.Cancel();
      if (!message.fds.empty()) TakeConfig(std::move(message.fds[0]), message.arg);
      SendReady();
      return;
    case MessageType::kStop:
      loop_->Stop();
      return;
    case MessageType::kPeerMaster:
      child_->peer_master = static_cast<pid_t>(message.arg);
      return;
    case MessageType::kReopen:
      access_log_.Flush();
      TakeReopenedLogs(std::move(message), &child_->access_log_fd);
      access_log_.Configure(context_.config->logging, child_->access_log_fd);
      return;
    default:
      Log(LogLevel::kError, "unknown message {} from the master", static_cast<uint32_t>(message.type));
  }
}

void Worker::TakeConfig(UniqueFd memfd, uint64_t generation) {
  Result<std::string> text = ReadSealedMemfd(memfd.get());
  if (!text) {
    Acknowledge(text.error().ToString());
    return;
  }
  Result<Config> parsed = ParseSerializedConfig(*text);
  if (!parsed) {
    Acknowledge(parsed.error().ToString());
    return;
  }
  if (Status status = LoadCertificates(*parsed); !status.ok()) {
    Acknowledge(status.detail());
    return;
  }
  context_.config = std::make_shared<const Config>(std::move(*parsed));
  child_->generation = generation;
  Configure();
  FollowOwners();  // a socket may be for TLS now, or no more
  context_.counters->config_ack.store(generation, std::memory_order_release);
  Acknowledge({});
}

void Worker::Acknowledge(std::string error) {
  Message ack;
  ack.type = MessageType::kConfigAck;
  ack.arg = child_->generation;
  ack.payload = std::move(error);
  (void)child_->channel.Send(ack);
}

void Worker::FollowOwners() {
  for (ListenSocket& socket : child_->sockets->sockets()) {
    // A socket for TLS may be here before the certificates that come with the configuration.
    const bool usable = !socket.tls || context_.tls != nullptr;
    const bool mine = usable && !context_.draining && (socket.shared || child_->shm->socket_owner(socket.index).load(
                                                                  std::memory_order_acquire) == child_->row);
    const auto at = std::find_if(listeners_.begin(), listeners_.end(),
                                 [&](const OpenListener& open) { return open.index == socket.index; });
    if (mine && at == listeners_.end()) {
      auto listener = std::make_unique<Listener>(loop_.get(), socket.fd.get(), this);
      listener->set_protocols(socket.tls, socket.h2c);
      if (Status status = listener->Start(); !status.ok()) {
        Log(LogLevel::kError, "{}: cannot accept: {}", socket.address, status.ToString());
        continue;
      }
      listeners_.push_back({socket.index, std::move(listener)});
    } else if (!mine && at != listeners_.end()) {
      listeners_.erase(at);
    } else if (mine) {
      at->listener->set_protocols(socket.tls, socket.h2c);
    }
  }
}

void Worker::RemoveSockets(const Message& message) {
  for (const uint32_t index : Indexes(message.payload)) {
    const auto open = std::find_if(listeners_.begin(), listeners_.end(),
                                   [&](const OpenListener& each) { return each.index == index; });
    if (open != listeners_.end()) {
      open->listener->Drain();
      listeners_.erase(open);
    }
    std::erase_if(child_->sockets->sockets(), [&](const ListenSocket& socket) { return socket.index == index; });
  }
}

void Worker::Drain(uint64_t deadline_ms) {
  if (!context_.draining) {
    context_.draining = true;
    FollowOwners();
    // The others have them. A copy here would keep an address in use that is removed later.
    child_->sockets->sockets().clear();
    for (const auto& server : servers_) server->Drain();
  }
  drain_deadline_.Set(loop_->now_ns() + MsToNs(deadline_ms));
  LeaveIfDone();
}

void Worker::LeaveIfDone() {
  if (context_.draining && servers_.empty()) loop_->Stop();
}

void Worker::OnDrainDeadline(void* self) {
  auto* worker = static_cast<Worker*>(self);
  Log(LogLevel::kNotice, "the drain's deadline passed with {} connections open", worker->servers_.size());
  while (!worker->servers_.empty()) worker->servers_.back()->Abort();
  worker->loop_->Stop();
}

int WorkerMain(ChildContext& child) {
  auto loop = EventLoop::Create();
  if (!loop) {
    Log(LogLevel::kError, "{}", loop.error().ToString());
    return 1;
  }
  Worker worker(&child, std::move(*loop));
  return worker.Run();
}

}  // namespace ub
