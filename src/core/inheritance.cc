#include "core/inheritance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "core/sealed_memfd.h"

namespace ub {

namespace {

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START
constexpr int kMostPassed = 1024;

// The number in an environment variable; -1 where there is none.
long Number(const char* name) {
  const char* value = getenv(name);
  return value == nullptr || *value == '\0' ? -1 : strtol(value, nullptr, 10);
}

bool Open(int fd) { return fd > 2 && fcntl(fd, F_GETFD) >= 0; }

UniqueFd TakeFd(int fd) {
  if (!Open(fd)) return UniqueFd();
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return UniqueFd(fd);
}

void TakeLine(const std::string& line, Inheritance* found) {
  std::istringstream words(line);
  std::string what;
  long number = -1;
  if (!(words >> what >> number)) return;
  if (what == "pid") found->predecessor = static_cast<pid_t>(number);
  const std::pair<std::string_view, UniqueFd*> named[] = {{"segment", &found->segment},
                                                          {"link", &found->link},
                                                          {"state", &found->state},
                                                          {"handover_receive", &found->handover_receive},
                                                          {"handover_send", &found->handover_send}};
  for (const auto& [name, fd] : named) {
    if (what == name) *fd = TakeFd(static_cast<int>(number));
  }
  if (what != "socket" && what != "management") return;
  ListenSocket socket;
  int shared = 0, passed = 0;
  if (!(words >> socket.index >> shared >> passed >> std::ws)) return;
  std::getline(words, socket.address);  // the rest: a path may hold blanks
  socket.shared = shared != 0;
  socket.passed = passed != 0;
  socket.fd = TakeFd(static_cast<int>(number));
  auto& list = what == "socket" ? found->sockets : found->management;
  if (socket.fd.valid()) list.push_back(std::move(socket));
}

void TakeFromMaster(Inheritance* found) {
  const long fd = Number(kInheritVariable);
  unsetenv(kInheritVariable);
  if (fd < 0) return;
  const UniqueFd list = TakeFd(static_cast<int>(fd));
  if (!list.valid()) return;
  Result<std::string> text = ReadSealedMemfd(list.get());
  if (!text) return;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) TakeLine(line, found);
  // A variable that a shell kept from an upgrade of long ago names somebody else's descriptors.
  if (found->predecessor != getppid() || !found->link.valid()) *found = Inheritance();
}

void TakeFromSystemd(Inheritance* found) {
  const long pid = Number("LISTEN_PID"), count = Number("LISTEN_FDS");
  if (pid != getpid()) return;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  for (int i = 0; i < count && i < kMostPassed; ++i) {
    UniqueFd fd = TakeFd(kFirstPassed + i);
    int listening = 0;
    socklen_t bytes = sizeof(listening);
    if (!fd.valid() || getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) < 0 ||
        listening == 0)
      continue;
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    found->passed.push_back(std::move(fd));
  }
}

}  // namespace

Inheritance TakeInheritance() {
  Inheritance found;
  TakeFromMaster(&found);
  TakeFromSystemd(&found);
  return found;
}

std::vector<std::string> UpgradeArguments(std::vector<std::string> arguments) {
  if (arguments.empty()) return arguments;
  std::string& program = arguments.front();
  std::error_code error;
  if (program.find('/') == std::string::npos) {
    program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  } else {
    program = std::filesystem::absolute(program, error).string();
  }
  if (error) arguments.clear();
  return arguments;
}

Result<UniqueFd> WriteInheritance(pid_t self, const NamedFds& named,
                                  const std::vector<const ListenSocket*>& sockets,
                                  const std::vector<const ListenSocket*>& management) {
  std::string text = fmt::format("pid {}\n", self);
  for (const auto& [name, fd] : named) text += fmt::format("{} {}\n", name, fd);
  const auto put = [&text](const char* what, const ListenSocket& socket) {
    text += fmt::format("{} {} {} {} {} {}\n", what, socket.fd.get(), socket.index,
                        socket.shared ? 1 : 0, socket.passed ? 1 : 0, socket.address);
  };
  for (const ListenSocket* socket : sockets) put("socket", *socket);
  for (const ListenSocket* socket : management) put("management", *socket);
  return MakeSealedMemfd("ultrabalancer-inherit", text);
}

}  // namespace ub
