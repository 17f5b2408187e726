// Processes from outside: /proc, and commands that run to their end.
#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "proxy.h"

namespace ub::itest {

namespace {

// Fields of /proc/PID/stat after the name: state, parent, …
std::vector<std::string> StatOf(pid_t pid) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 > text.size()) return {};
  return Split(std::string_view(text).substr(end + 2), ' ');
}

}  // namespace

std::string BinaryPath() {
  const char* path = getenv("UB_BINARY");
  return std::filesystem::absolute(path != nullptr ? path : "objs/ultrabalancer").string();
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    const auto pid = static_cast<pid_t>(atoi(entry->d_name));
    if (pid <= 0) continue;
    const auto stat = StatOf(pid);
    if (stat.size() > 1 && atoi(stat[1].c_str()) == parent) children.push_back(pid);
  }
  closedir(proc);
  return children;
}

std::string TitleOf(pid_t pid) {
  std::string title = ReadFile("/proc/" + std::to_string(pid) + "/cmdline");
  for (char& c : title) {
    if (c == '\0') c = ' ';
  }
  while (!title.empty() && title.back() == ' ') title.pop_back();
  return title;
}

bool Alive(pid_t pid) {
  const auto stat = StatOf(pid);
  return !stat.empty() && stat[0] != "Z" && stat[0] != "X";
}

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

CommandResult RunBinary(const std::vector<std::string>& arguments, Millis limit) {
  AdoptOrphans();
  const TempDir dir;
  const std::string binary = BinaryPath();
  std::vector<char*> argv{const_cast<char*>(binary.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const UniqueFd out(
      open(dir.Path("out").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
  const UniqueFd err(
      open(dir.Path("err").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
  const UniqueFd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in.get(), 0);
    dup2(out.get(), 1);
    dup2(err.get(), 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  CommandResult result;
  int status = 0;
  const bool ended = WaitFor([&] { return waitpid(pid, &status, WNOHANG) == pid; }, limit);
  if (!ended) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  } else {
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  result.out = ReadFile(dir.Path("out"));
  result.err = ReadFile(dir.Path("err"));
  return result;
}

}  // namespace ub::itest
