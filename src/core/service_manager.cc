#include "core/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace ub {

namespace {

// A status is one line: more would be read as further assignments.
std::string OneLine(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

uint64_t MonotonicUs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  const char* address = getenv("NOTIFY_SOCKET");
  if (address == nullptr || (address[0] != '/' && address[0] != '@')) return manager;
  manager.address_ = address;
  if (manager.address_.size() >= sizeof(sockaddr_un::sun_path)) return ServiceManager();
  if (manager.address_[0] == '@') manager.address_[0] = '\0';
  manager.fd_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const char* usec = getenv("WATCHDOG_USEC");
  const char* pid = getenv("WATCHDOG_PID");
  if (usec != nullptr && (pid == nullptr || strtol(pid, nullptr, 10) == getpid())) {
    const uint64_t ms = strtoull(usec, nullptr, 10) / 1000;
    manager.watchdog_ms_ = ms == 0 ? 0 : std::max<uint64_t>(1, ms / 2);
  }
  return manager;
}

void ServiceManager::Ready(std::string_view status) {
  Send(fmt::format("READY=1\nMAINPID={}\nSTATUS={}", getpid(), OneLine(status)));
}

void ServiceManager::Reloading() {
  Send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", MonotonicUs()));
}

void ServiceManager::Stopping(std::string_view status) {
  Send(fmt::format("STOPPING=1\nSTATUS={}", OneLine(status)));
}

void ServiceManager::Alive() { Send("WATCHDOG=1"); }

void ServiceManager::Send(std::string_view text) {
  if (!fd_.valid()) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  memcpy(to.sun_path, address_.data(), address_.size());
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  (void)!sendto(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&to), bytes);
}

}  // namespace ub
