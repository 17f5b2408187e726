#include "core/reload_status.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "core/unique_fd.h"

namespace ub {

std::string ReloadStatusPath(const std::string& pid_file) { return pid_file + ".status"; }

Status WriteReloadStatus(const std::string& path, const ReloadStatus& status) {
  std::ostringstream text;
  text << "pid " << status.pid << "\nreload " << status.sequence << "\nstate "
       << (!status.done ? "running"
           : status.ok  ? "ok"
                        : "failed")
       << "\ngeneration " << status.generation << '\n';
  const auto lines = [&text](const char* key, const std::vector<std::string>& list) {
    for (std::string line : list) {
      std::replace(line.begin(), line.end(), '\n', ' ');
      text << key << ' ' << line << '\n';
    }
  };
  lines("error", status.errors);
  lines("warning", status.warnings);
  const std::string fresh = path + ".new";
  const std::string bytes = text.str();
  UniqueFd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return Status::System("cannot write " + fresh, errno);
  const bool written =
      write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  if (!written || rename(fresh.c_str(), path.c_str()) < 0) {
    const Status failed = Status::System("cannot write " + path, errno);
    unlink(fresh.c_str());
    return failed;
  }
  return Status::Ok();
}

Result<ReloadStatus> ReadReloadStatus(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return Fail(Status(StatusCode::kNotFound, StatusSource::kSystem, "no status file " + path));
  ReloadStatus status;
  std::string line;
  while (std::getline(file, line)) {
    const size_t space = line.find(' ');
    const std::string key = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    if (key == "pid") status.pid = static_cast<pid_t>(strtol(value.c_str(), nullptr, 10));
    if (key == "reload") status.sequence = strtoull(value.c_str(), nullptr, 10);
    if (key == "generation") status.generation = strtoull(value.c_str(), nullptr, 10);
    if (key == "error") status.errors.push_back(value);
    if (key == "warning") status.warnings.push_back(value);
    if (key == "state") {
      status.done = value != "running";
      status.ok = value == "ok";
    }
  }
  return status;
}

}  // namespace ub
