#include "core/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace ub {

namespace {

constexpr uint32_t kPacketMagic = 0x55624d31;  // "UbM1"

// Goes before the payload in every packet. Both ends are the same binary's, or say so by the magic.
struct PacketHead {
  uint32_t magic;
  uint32_t type;
  uint64_t arg;
  uint32_t payload_bytes;
  uint32_t fd_count;
};

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * Channel::kMaxFds);

// Owns whatever came along before anything is judged: a refused packet must leak no descriptor.
std::vector<UniqueFd> TakeFds(msghdr* header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

Status ProtocolError(const char* what) {
  return Status(StatusCode::kProtocol, StatusSource::kSystem, what);
}

}  // namespace

Result<std::pair<Channel, Channel>> Channel::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
    return Fail(Status::System("socketpair", errno));
  }
  return std::make_pair(Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1])));
}

Result<bool> Channel::Send(const Message& message) {
  if (message.payload.size() > kMaxPayload || message.fds.size() > kMaxFds) {
    return Fail(
        Status(StatusCode::kTooLarge, StatusSource::kSystem, "message too large for a channel"));
  }
  PacketHead head{kPacketMagic, static_cast<uint32_t>(message.type), message.arg,
                  static_cast<uint32_t>(message.payload.size()),
                  static_cast<uint32_t>(message.fds.size())};
  iovec parts[2] = {{&head, sizeof(head)},
                    {const_cast<char*>(message.payload.data()), message.payload.size()}};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = message.payload.empty() ? 1 : 2;

  alignas(cmsghdr) unsigned char control[kControlBytes];
  if (!message.fds.empty()) {
    const size_t fd_bytes = sizeof(int) * message.fds.size();
    memset(control, 0, CMSG_SPACE(fd_bytes));
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fd_bytes);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fd_bytes);
    for (size_t i = 0; i < message.fds.size(); ++i) {
      const int fd = message.fds[i].get();
      memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof(int));
    }
  }

  for (;;) {
    if (sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
      case ENOBUFS:
      case ENOMEM:
      case ETOOMANYREFS:  // too many descriptors wait in channels of peers that do not read
        return false;
      case EPIPE:
      case ECONNRESET:
        return Fail(Status(StatusCode::kClosed, StatusSource::kSystem,
                           "the other end of the channel is gone"));
      default:
        return Fail(Status::System("sendmsg on a channel", errno));
    }
  }
}

Result<std::optional<Message>> Channel::Receive() {
  PacketHead head{};
  Message message;
  message.payload.resize(kMaxPayload);
  iovec parts[2] = {{&head, sizeof(head)}, {message.payload.data(), message.payload.size()}};
  alignas(cmsghdr) unsigned char control[kControlBytes];
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);

  ssize_t received = 0;
  do {
    received = recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (errno == EAGAIN) return std::optional<Message>();
    if (errno == ECONNRESET) {
      return Fail(Status(StatusCode::kClosed, StatusSource::kSystem,
                         "the other end of the channel is gone"));
    }
    return Fail(Status::System("recvmsg on a channel", errno));
  }
  message.fds = TakeFds(&header);
  if (received == 0) {
    return Fail(
        Status(StatusCode::kClosed, StatusSource::kSystem, "the other end of the channel is gone"));
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) return Fail(ProtocolError("channel: packet too long"));
  if (static_cast<size_t>(received) < sizeof(head) || head.magic != kPacketMagic ||
      head.payload_bytes != static_cast<size_t>(received) - sizeof(head)) {
    return Fail(ProtocolError("channel: not a packet of ours"));
  }
  if ((header.msg_flags & MSG_CTRUNC) != 0 || head.fd_count != message.fds.size()) {
    return Fail(Status(StatusCode::kExhausted, StatusSource::kSystem,
                       "channel: descriptors were lost (raise the limit of open files)"));
  }
  message.type = static_cast<MessageType>(head.type);
  message.arg = head.arg;
  message.payload.resize(head.payload_bytes);
  return std::optional<Message>(std::move(message));
}

}  // namespace ub
