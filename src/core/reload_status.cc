#include "core/reload_status.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/atomic_file.h"

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
  return ReplaceFile(path, text.str(), 0644, false);
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
