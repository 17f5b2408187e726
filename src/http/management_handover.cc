#include "http/management_handover.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace ub {

bool IsManagementPath(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const std::string_view exact : {"/health", "/ready", "/metrics", "/prometheus", "/dashboard", "/admin"}) {
    if (path == exact) return true;
  }
  return path.starts_with("/admin/") || path.starts_with("/dashboard/");
}

bool SendHandover(int to, int client_fd, std::string_view input) {
  if (to < 0 || input.size() > kMaxHandoverBytes) return false;
  iovec piece{const_cast<char*>(input.data()), input.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &client_fd, sizeof(int));
  ssize_t sent;
  do {
    sent = sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

UniqueFd ReceiveHandover(int from, std::string* input) {
  input->resize(kMaxHandoverBytes);
  iovec piece{input->data(), input->size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size;
  do {
    size = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  input->resize(size > 0 ? static_cast<size_t>(size) : 0);
  const cmsghdr* rights = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) return UniqueFd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace ub
