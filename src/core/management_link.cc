#include "core/management_link.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/atomic_file.h"
#include "core/config_text.h"
#include "core/log.h"
#include "core/sealed_memfd.h"

namespace ub {

namespace {

constexpr size_t kMaxStateBytes = 64u << 20;  // what RuntimeState reads, too
constexpr uint32_t kMaxSockets = 16;
// A handed-over head may be as long as limits.header_bytes, and some may wait for the controller.
constexpr int kHandoverBytes = 4 << 20;
constexpr char kUnixPrefix[] = "unix:";

bool AskedFor(const AdminConfig& config) {
  return config.port_given || config.listen_address != AdminConfig().listen_address;
}

}  // namespace

std::optional<ListenConfig> ManagementAddress(const AdminConfig& config) {
  if (!config.enabled) return std::nullopt;
  ListenConfig at;
  if (config.listen_address.starts_with(kUnixPrefix)) {
    at.is_unix = true;
    at.address = config.listen_address.substr(sizeof(kUnixPrefix) - 1);
    at.text = config.listen_address;
    return at;
  }
  at.address = config.listen_address;
  at.port = config.listen_port;
  const bool six = IsIpv6(at.address);
  at.text = (six ? "[" + at.address + "]" : at.address) + ":" + std::to_string(at.port);
  return at;
}

Status ManagementLink::OpenAt(const AdminConfig& config, ListenSockets* to) {
  const std::optional<ListenConfig> at = ManagementAddress(config);
  if (!at) return Status::Ok();
  // Not 0666, as the proxy's: who can connect can change the backends.
  Status status = to->Open(*at, 1, kMaxSockets, 0660);
  if (status.ok() || AskedFor(config)) return status;
  Log(LogLevel::kWarn,
      "no management address: {} (set admin.listen_port, or admin.enabled: false)",
      status.detail());
  return Status::Ok();
}

Status ManagementLink::OpenHandover(Inheritance* inherited) {
  handover_receive_ = std::move(inherited->handover_receive);
  handover_send_ = std::move(inherited->handover_send);
  if (handover_receive_.valid() && handover_send_.valid()) return Status::Ok();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
    return Status::System("socketpair", errno);
  }
  handover_receive_ = UniqueFd(ends[0]);
  handover_send_ = UniqueFd(ends[1]);
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kHandoverBytes, sizeof kHandoverBytes);
  return Status::Ok();
}

NamedFds ManagementLink::ForSuccessor() const {
  NamedFds named{{"handover_receive", handover_receive_.get()}, {"handover_send", handover_send_.get()}};
  if (state_.valid()) named.emplace_back("state", state_.get());
  return named;
}

Status ManagementLink::Open(const AdminConfig& config, Inheritance* inherited) {
  if (Status status = OpenHandover(inherited); !status.ok()) return status;
  const std::optional<ListenConfig> at = ManagementAddress(config);
  for (ListenSocket& socket : inherited->management) {
    if (!at || socket.address != at->text) continue;
    if (Status status = sockets_.Inherit(std::move(socket), false, kMaxSockets); !status.ok()) return status;
    address_ = at->text;
    return Status::Ok();
  }
  if (Status status = OpenAt(config, &sockets_); !status.ok()) return status;
  if (!sockets_.sockets().empty()) address_ = sockets_.sockets().front().address;
  return Status::Ok();
}

Status ManagementLink::Prepare(const AdminConfig& next) {
  const std::optional<ListenConfig> at = ManagementAddress(next);
  next_.reset();
  if ((at ? at->text : "") == address_) return Status::Ok();
  ListenSockets opened;
  for (const ListenSocket& socket : sockets_.sockets()) opened.NoteOurs(BoundPort(socket.fd.get()));
  if (Status status = OpenAt(next, &opened); !status.ok()) return status;
  next_address_ = opened.sockets().empty() ? "" : at->text;
  next_ = std::move(opened);
  return Status::Ok();
}

std::optional<Message> ManagementLink::Commit(bool unlink_paths) {
  if (!next_) return std::nullopt;
  if (unlink_paths) sockets_.UnlinkPaths();
  sockets_ = std::move(*next_);
  next_.reset();
  address_ = next_address_;
  Message message;
  message.type = MessageType::kListeners;
  for (const ListenSocket& socket : sockets_.sockets()) {
    message.fds.emplace_back(fcntl(socket.fd.get(), F_DUPFD_CLOEXEC, 3));
  }
  return message;
}

Status ManagementLink::LoadState(const std::string& text) {
  if (text.empty()) return Status::Ok();
  Result<UniqueFd> memfd = MakeSealedMemfd("ultrabalancer-state", text);
  if (!memfd) return memfd.error();
  state_ = std::move(*memfd);
  return Status::Ok();
}

Message ManagementLink::KeepState(const Message& message, const std::string& state_file) {
  Message answer;
  answer.type = MessageType::kStateKept;
  answer.arg = message.arg;
  if (message.fds.empty()) return answer;
  if (!state_file.empty()) {
    Status status = Status::Ok();
    if (message.payload == "none") {
      if (unlink(state_file.c_str()) < 0 && errno != ENOENT) {
        status = Status::System("cannot remove " + state_file, errno);
      }
    } else {
      const Result<std::string> text = ReadSealedMemfd(message.fds[0].get(), kMaxStateBytes);
      status = text ? ReplaceFile(state_file, *text) : text.error();
    }
    answer.payload = status.detail();
    if (!status.ok()) return answer;  // not made: the old state stays
  }
  UniqueFd state(fcntl(message.fds[0].get(), F_DUPFD_CLOEXEC, 3));
  if (state.valid()) {
    state_ = std::move(state);
  } else {
    answer.payload = Status::System("cannot keep the state", errno).detail();
  }
  return answer;
}

UniqueFd ManagementLink::CopyOfState() const {
  return UniqueFd(state_.valid() ? fcntl(state_.get(), F_DUPFD_CLOEXEC, 3) : -1);
}

void ManagementLink::GiveTo(ChildContext* context) {
  const bool controller = context->kind == ChildKind::kController;
  context->handover_fd = controller ? handover_receive_.get() : handover_send_.get();
  if (!controller) return;
  context->sockets = &sockets_;
  context->runtime_state_fd = state_.get();
}

void ManagementLink::BecomeChild(ChildKind kind) {
  next_.reset();
  if (kind == ChildKind::kController) {
    handover_send_.Reset();
    return;
  }
  sockets_.sockets().clear();
  handover_receive_.Reset();
  state_.Reset();
}

}  // namespace ub
