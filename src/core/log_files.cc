#include "core/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/log.h"

namespace ub {

namespace {

// A named pipe without a reader is an error, and would be a start that hangs without O_NONBLOCK.
Result<UniqueFd> OpenLog(const std::string& name) {
  const int standard = name == "stderr" ? 2 : name == "stdout" ? 1 : -1;
  UniqueFd fd(standard >= 0
                  ? fcntl(standard, F_DUPFD_CLOEXEC, 3)
                  : open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640));
  if (!fd.valid()) return Fail(Status::System("cannot open log file " + name, errno));
  if (standard < 0) fcntl(fd.get(), F_SETFL, O_APPEND);  // no line is lost to a slow reader
  return fd;
}

// The access log is written by processes that serve others meanwhile: it must never make them wait.
Result<UniqueFd> OpenAccessLog(const std::string& name) {
  const int standard = name == "stderr" ? 2 : name == "stdout" ? 1 : -1;
  struct stat info {};
  if (standard >= 0) {
    if (fstat(standard, &info) < 0 || S_ISREG(info.st_mode) || S_ISSOCK(info.st_mode))
      return OpenLog(name);
    // A pipe or terminal is opened anew: its descriptor is shared with whoever started us, and so
    // would be the flag.
    const std::string path = "/proc/self/fd/" + std::to_string(standard);
    UniqueFd again(open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    return again.valid() ? Result<UniqueFd>(std::move(again)) : OpenLog(name);
  }
  UniqueFd fd(
      open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640));
  if (!fd.valid()) return Fail(Status::System("cannot open log file " + name, errno));
  return fd;
}

void PutOver(UniqueFd fresh, UniqueFd* place) {
  if (place->valid() && fresh.valid()) {
    dup3(fresh.get(), place->get(), O_CLOEXEC);
  } else if (fresh.valid()) {
    *place = std::move(fresh);
  }
}

}  // namespace

Result<LogFiles> LogFiles::Open(const LoggingConfig& logging) {
  LogFiles files;
  Result<UniqueFd> error = OpenLog(logging.file);
  if (!error) return Fail(error.error());
  files.error_ = std::move(*error);
  if (!logging.access_log.empty() && logging.access_log != "off") {
    Result<UniqueFd> access = OpenAccessLog(logging.access_log);
    if (!access) return Fail(access.error());
    files.access_ = std::move(*access);
  }
  return files;
}

void LogFiles::Replace(LogFiles fresh) {
  PutOver(std::move(fresh.error_), &error_);
  if (fresh.access_.valid()) {
    PutOver(std::move(fresh.access_), &access_);
  } else {
    access_.Reset();
  }
  SetLogFd(error_.get());
}

Result<Message> LogFiles::ReopenMessage() const {
  Message message;
  message.type = MessageType::kReopen;
  for (const UniqueFd* fd : {&error_, &access_}) {
    if (!fd->valid()) continue;
    UniqueFd copy(fcntl(fd->get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return Fail(Status::System("dup of a log file", errno));
    message.fds.push_back(std::move(copy));
  }
  return message;
}

void TakeReopenedLogs(Message message, int* access_log_fd) {
  if (!message.fds.empty()) dup3(message.fds[0].get(), LogFd(), LogFd() > 2 ? O_CLOEXEC : 0);
  if (message.fds.size() < 2) {
    if (*access_log_fd >= 0) close(*access_log_fd);  // turned off
    *access_log_fd = -1;
  } else if (*access_log_fd >= 0) {
    dup3(message.fds[1].get(), *access_log_fd, O_CLOEXEC);
  } else {
    *access_log_fd = message.fds[1].Release();
  }
}

}  // namespace ub
