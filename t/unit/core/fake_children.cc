#include "unit/core/fake_children.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/admission.h"
#include "core/clock.h"
#include "core/config_serialize.h"
#include "core/log.h"
#include "core/log_files.h"
#include "core/sealed_memfd.h"

namespace ub {

namespace {

// A worker with poll for a loop: everything that the master's protocol asks for, nothing else.
class FakeWorker {
 public:
  explicit FakeWorker(ChildContext& context) : context_(context) {}

  int Run() {
    if (context_.config->algorithm == "fail-start") return 3;
    Send(MessageType::kReady, context_.generation, "");
    if (context_.config->algorithm == "crash") return 4;
    while (!(stop_ || (draining_ && (connections_.empty() || MonotonicMs() >= deadline_ms_))))
      Turn();
    return 0;
  }

 private:
  bool Mine(const ListenSocket& socket) const {
    if (draining_) return false;
    const uint32_t owner = context_.shm->socket_owner(socket.index).load();
    return owner == kAnyRow || owner == context_.row;
  }

  void Turn() {
    std::vector<pollfd> polled{
        {context_.channel.fd(), static_cast<short>(orphan_ ? 0 : POLLIN), 0}};
    for (const UniqueFd& fd : connections_) polled.push_back({fd.get(), POLLIN, 0});
    const size_t first_listener = polled.size();
    std::vector<int> listeners;
    for (const ListenSocket& socket : context_.sockets->sockets()) {
      if (Mine(socket)) polled.push_back({socket.fd.get(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), 1000) <= 0) return;
    for (size_t i = 1; i < first_listener; ++i) {
      if (polled[i].revents != 0) Serve(&connections_[i - 1]);
    }
    std::erase_if(connections_, [](const UniqueFd& fd) { return !fd.valid(); });
    for (size_t i = first_listener; i < polled.size(); ++i) {
      if (polled[i].revents != 0) AcceptAll(polled[i].fd);
    }
    if (polled[0].revents != 0) Listen();
  }

  void Serve(UniqueFd* connection) {
    char byte;
    if (recv(connection->get(), &byte, 1, 0) != 1) return Drop(connection);
    const std::string line = std::to_string(context_.worker_id) + " " + std::to_string(getpid()) +
                             " " + std::to_string(context_.generation) + " " +
                             std::to_string(context_.shm->Connections()) + "\n";
    if (send(connection->get(), line.data(), line.size(), MSG_NOSIGNAL) < 0 || draining_)
      Drop(connection);
  }

  void Drop(UniqueFd* connection) {
    connection->Reset();
    Unreserve(context_.shm->row(context_.row).connections);
  }

  void AcceptAll(int listener) {
    for (;;) {
      UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.valid()) return;
      ReserveConnection(*context_.shm, context_.row, 0);
      connections_.push_back(std::move(fd));
    }
  }

  void Listen() {
    for (;;) {
      Result<std::optional<Message>> got = context_.channel.Receive();
      if (!got) {  // the master is gone
        orphan_ = true;
        for (const ListenSocket& socket : context_.sockets->sockets()) {
          if (Mine(socket)) AcceptAll(socket.fd.get());
        }
        return Drain(context_.config->timeout.drain_ms);
      }
      if (!got->has_value()) return;
      Handle(std::move(**got));
    }
  }

  void Handle(Message message) {
    std::vector<uint32_t> indexes(message.payload.size() / sizeof(uint32_t));
    if (!indexes.empty())
      memcpy(indexes.data(), message.payload.data(), indexes.size() * sizeof(uint32_t));
    switch (message.type) {
      case MessageType::kConfig:
        return TakeConfig(message);
      case MessageType::kListeners:
        return context_.sockets->Adopt(message.payload, std::move(message.fds));
      case MessageType::kRemoveListeners:
        for (const uint32_t index : indexes) {
          std::erase_if(context_.sockets->sockets(), [&](const ListenSocket& socket) {
            if (socket.index == index && Mine(socket)) AcceptAll(socket.fd.get());
            return socket.index == index;
          });
        }
        return;
      case MessageType::kDrain:
        return Drain(message.arg);
      case MessageType::kResume:
        draining_ = false;
        TakeConfig(message);
        return Send(MessageType::kReady, context_.generation, "");
      case MessageType::kStop:
        stop_ = true;
        return;
      case MessageType::kReopen:
        return TakeReopenedLogs(std::move(message), &context_.access_log_fd);
      default:
        return;
    }
  }

  void TakeConfig(const Message& message) {
    Result<std::string> text = ReadSealedMemfd(message.fds[0].get());
    Result<Config> config = text ? ParseSerializedConfig(*text) : Fail(text.error());
    const std::string error = !config                         ? config.error().ToString()
                              : config->algorithm == "refuse" ? "I will not"
                                                              : "";
    if (error.empty()) {
      context_.config = std::make_shared<const Config>(std::move(*config));
      context_.generation = message.arg;
    }
    Send(MessageType::kConfigAck, context_.generation, error);
  }

  void Drain(uint64_t drain_ms) {
    draining_ = true;
    deadline_ms_ = MonotonicMs() + drain_ms;
    context_.sockets->sockets().clear();
  }

  void Send(MessageType type, uint64_t arg, const std::string& payload) {
    Message message;
    message.type = type;
    message.arg = arg;
    message.payload = payload;
    if (!context_.channel.Send(message)) stop_ = true;
  }

  ChildContext& context_;
  std::vector<UniqueFd> connections_;
  bool stop_ = false, draining_ = false, orphan_ = false;
  uint64_t deadline_ms_ = 0;
};

}  // namespace

int FakeWorkerMain(ChildContext& context) { return FakeWorker(context).Run(); }

namespace {

// Where the new configuration says "ask-later" it asks for a reload as soon as there is a file PID_FILE.ask.
bool AskLater(ChildContext& context, const Message& config) {
  const Result<std::string> text = ReadSealedMemfd(config.fds[0].get());
  const Result<Config> parsed = text ? ParseSerializedConfig(*text) : Fail(text.error());
  if (!parsed || parsed->algorithm != "ask-later") return true;
  const std::string order = parsed->pid_file + ".ask";
  for (int i = 0; access(order.c_str(), F_OK) != 0; ++i) {
    if (i == 10'000) return false;
    poll(nullptr, 0, 1);
  }
  Message ask;
  ask.type = MessageType::kReloadRequest;
  ask.arg = 78;
  return context.channel.Send(ask).value_or(false);
}

}  // namespace

// Stays until kStop or until the master is gone; asks for a reload when its configuration says so.
int FakeControllerMain(ChildContext& context) {
  Message ready;
  ready.type = MessageType::kReady;
  ready.arg = context.generation;
  if (!context.channel.Send(ready) || !context.sockets->sockets().empty()) return 1;
  if (context.config->algorithm == "ask-reload") {
    Message ask;
    ask.type = MessageType::kReloadRequest;
    ask.arg = 77;
    if (!context.channel.Send(ask)) return 1;
  }
  for (;;) {
    pollfd wait{context.channel.fd(), POLLIN, 0};
    poll(&wait, 1, -1);
    Result<std::optional<Message>> got = context.channel.Receive();
    if (!got) return 0;
    if (!got->has_value()) continue;
    if ((*got)->type == MessageType::kStop) return 0;
    if ((*got)->type == MessageType::kReloadResult) {
      ub::Log(LogLevel::kNotice, "reload {} ended: '{}'", (*got)->arg, (*got)->payload);
    }
    if ((*got)->type != MessageType::kConfig) continue;
    Message ack;
    ack.type = MessageType::kConfigAck;
    ack.arg = (*got)->arg;
    if (!context.channel.Send(ack) || !AskLater(context, **got)) return 1;
  }
}

}  // namespace ub
