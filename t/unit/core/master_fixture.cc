#include "unit/core/master_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/clock.h"
#include "core/config_serialize.h"
#include "core/master.h"
#include "unit/core/fake_children.h"

namespace ub {

namespace {

// Empty where it cannot be read: files of /proc fail in the middle when their process goes.
std::string ReadFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(fd.get(), buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  std::filesystem::rename(path + ".new", path);
}

ReloadResult ReadConfig(const std::string& path) {
  Result<Config> config = ParseSerializedConfig(ReadFile(path));
  if (!config) return {nullptr, {ReadFile(path), "second line"}};
  return {std::make_shared<const Config>(std::move(*config)), {}};
}

}  // namespace

void MasterTest::SetUp() {
  char name[] = "/tmp/ub-master-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  directory_ = name;
  port_ = FreePort();
}

void MasterTest::TearDown() {
  if (HasFailure()) std::cerr << "--- log ---\n" << Log() << "--- output ---\n" << Output();
  if (master_ > 0) {
    std::vector<pid_t> left = Children();
    kill(master_, SIGKILL);
    for (const pid_t pid : left) kill(pid, SIGKILL);
    waitpid(master_, nullptr, 0);
  }
  std::filesystem::remove_all(directory_);
}

Config MasterTest::BaseConfig(uint32_t workers) {
  Config config;
  config.listen = {Tcp(port_)};
  config.workers = workers;
  config.max_connections = 100;
  config.pid_file = directory_ + "/pid";
  config.logging.file = directory_ + "/log";
  config.timeout.drain_ms = 5000;
  config.admin.enabled = false;
  return config;
}

void MasterTest::SetConfig(const Config& config) {
  WriteFile(directory_ + "/config", SerializeConfig(config));
}
void MasterTest::SetBroken(const std::string& why) { WriteFile(directory_ + "/config", why); }

pid_t MasterTest::Launch(const Config& config, bool daemon, const std::string& default_pid_file) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const UniqueFd output(
      open((directory_ + "/output").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  dup2(output.get(), 2);
  MasterOptions options;
  options.config = std::make_shared<const Config>(config);
  options.command_line = "test";
  options.daemon = daemon;
  options.default_pid_file = default_pid_file;
  MasterHooks hooks;
  const std::string path = directory_ + "/config";
  hooks.reload = [path] { return ReadConfig(path); };
  hooks.prepare = [](const Config&, ShmSegment& shm) {
    shm.header().backend_high_water.store(2);
    return Status::Ok();
  };
  hooks.serialize = SerializeConfig;
  hooks.diff = [](const Config& before, const Config& after) {
    return before.workers != after.workers ? std::string("workers changed") : std::string();
  };
  _exit(Master(std::move(options), {FakeWorkerMain, FakeControllerMain}, std::move(hooks)).Run());
}

void MasterTest::Start(const Config& config) {
  SetConfig(config);
  master_ = Launch(config);
  ASSERT_TRUE(WaitLog("serving with"));
}

void MasterTest::Signal(int number) { ASSERT_EQ(kill(master_, number), 0); }

void MasterTest::Reload(const Config& config) {
  const auto in_force = [this] {
    const std::string log = Log();
    size_t count = 0;
    for (size_t at = log.find("in force in every"); at != std::string::npos;
         at = log.find("in force in every", at + 1)) {
      ++count;
    }
    return count;
  };
  const size_t before = in_force();
  SetConfig(config);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitFor([&] { return in_force() > before; }));
}

int MasterTest::WaitPid(pid_t pid, int ms) {
  int status = 0;
  if (!WaitFor([&] { return waitpid(pid, &status, WNOHANG) == pid; }, ms)) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int MasterTest::WaitExit(int ms) {
  const int status = WaitPid(master_, ms);
  if (status != -1) master_ = 0;
  return status;
}

std::string MasterTest::Log() const { return ReadFile(directory_ + "/log"); }
std::string MasterTest::Output() const { return ReadFile(directory_ + "/output"); }

bool MasterTest::WaitFor(const std::function<bool()>& condition, int ms) {
  const uint64_t deadline = MonotonicMs() + static_cast<uint64_t>(ms);
  while (!condition()) {
    if (MonotonicMs() >= deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

bool MasterTest::WaitLog(const std::string& text, int ms) const {
  return WaitFor([&] { return Log().find(text) != std::string::npos; }, ms);
}

pid_t MasterTest::PidOf(const std::string& role) const {
  const std::string log = Log(), mark = ": " + role + " started, pid ";
  const size_t at = log.rfind(mark);
  return at == std::string::npos ? 0 : static_cast<pid_t>(atol(log.c_str() + at + mark.size()));
}

std::vector<pid_t> MasterTest::Children() const {
  std::vector<pid_t> pids;
  const std::string id = std::to_string(master_);
  std::istringstream in(ReadFile("/proc/" + id + "/task/" + id + "/children"));
  for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
  return pids;
}

bool MasterTest::Alive(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  return !stat.empty() && stat.find(") Z ") == std::string::npos;
}

uint16_t MasterTest::FreePort() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  return BoundPort(fd.get());
}

ListenConfig MasterTest::Tcp(uint16_t port) {
  return {"127.0.0.1", port, false, "127.0.0.1:" + std::to_string(port)};
}

UniqueFd MasterTest::Connect(uint16_t port) const {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0) return UniqueFd();
  return fd;
}

UniqueFd MasterTest::ConnectUnix(const std::string& path) const {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof(to.sun_path) - 1);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0) return UniqueFd();
  return fd;
}

Answer MasterTest::Ask(int fd, int ms) {
  Answer answer;
  if (fd < 0 || send(fd, "?", 1, MSG_NOSIGNAL) != 1) return answer;
  std::string line;
  const uint64_t deadline = MonotonicMs() + static_cast<uint64_t>(ms);
  while (line.empty() || line.back() != '\n') {
    pollfd wait{fd, POLLIN, 0};
    const uint64_t now = MonotonicMs();
    char byte = 0;
    if (now >= deadline || poll(&wait, 1, static_cast<int>(deadline - now)) != 1) return answer;
    if (recv(fd, &byte, 1, 0) != 1) return answer;
    line.push_back(byte);
  }
  std::istringstream(line) >> answer.worker >> answer.pid >> answer.generation >>
      answer.connections;
  return answer;
}

}  // namespace ub
