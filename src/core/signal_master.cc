#include "core/signal_master.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "core/clock.h"
#include "core/pid_file.h"
#include "core/reload_status.h"
#include "core/unique_fd.h"

namespace ub {

namespace {

constexpr uint64_t kStopTimeoutMs = 5'000;
constexpr int kPollMs = 5;

Status MasterGone() {
  return Status(StatusCode::kClosed, StatusSource::kSystem,
                "the master left while it was being asked (see its log)");
}

// True once the process is gone; waits at most `timeout_ms` (-1: for ever).
bool Gone(int pidfd, int timeout_ms) {
  pollfd wait{pidfd, POLLIN, 0};
  return poll(&wait, 1, timeout_ms) == 1;
}

// The master as a pidfd, certain to be the process that holds the pid file's lock: a pid alone may
// have been given to another process by the time the signal is sent.
Result<UniqueFd> OpenMaster(const std::string& pid_file, pid_t* pid) {
  Result<pid_t> first = ReadPidFile(pid_file);
  if (!first) return Fail(first.error());
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, *first, 0)));
  if (!pidfd.valid())
    return Fail(Status::System("cannot find the master with pid " + std::to_string(*first), errno));
  Result<pid_t> second = ReadPidFile(pid_file);
  if (!second) return Fail(second.error());
  if (*second != *first) {
    return Fail(Status(StatusCode::kUnavailable, StatusSource::kSystem,
                       "the master is being replaced (try again)"));
  }
  *pid = *first;
  return pidfd;
}

Status Send(int pidfd, pid_t pid, int signal_number) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) == 0) return Status::Ok();
  if (errno == EPERM) {
    return Status(StatusCode::kPermission, StatusSource::kSystem,
                  "not allowed to signal the master with pid " + std::to_string(pid) +
                      " (run as its user, or as root)");
  }
  return Status::System("cannot signal the master with pid " + std::to_string(pid), errno);
}

// The outcome of a reload that began after `before` was read.
Status AwaitReload(int pidfd, pid_t pid, const std::string& path, uint64_t before,
                   uint64_t timeout_ms, std::vector<std::string>* warnings) {
  const uint64_t deadline = MonotonicMs() + timeout_ms;
  while (MonotonicMs() < deadline) {
    Result<ReloadStatus> now = ReadReloadStatus(path);
    if (now && now->pid == pid && now->done && now->sequence > before) {
      if (now->ok) {
        if (warnings != nullptr) *warnings = std::move(now->warnings);
        return Status::Ok();
      }
      std::string lines;
      for (const std::string& error : now->errors) lines += (lines.empty() ? "" : "\n") + error;
      return Status::Config(lines);
    }
    if (Gone(pidfd, kPollMs)) return MasterGone();
  }
  return Status(StatusCode::kTimeout, StatusSource::kSystem,
                "the master was told to reload but has not said how it went (see its log)");
}

}  // namespace

Result<MasterSignal> ParseMasterSignal(std::string_view name) {
  if (name == "reload") return MasterSignal::kReload;
  if (name == "quit") return MasterSignal::kQuit;
  if (name == "stop") return MasterSignal::kStop;
  if (name == "reopen") return MasterSignal::kReopen;
  return Fail(
      Status(StatusCode::kInvalid, StatusSource::kConfig,
             "-s: unknown signal " + std::string(name) + " (use reload, quit, stop or reopen)"));
}

Status SignalMaster(const std::string& pid_file, MasterSignal signal, uint64_t reload_timeout_ms,
                    std::vector<std::string>* warnings) {
  pid_t pid = 0;
  Result<UniqueFd> master = OpenMaster(pid_file, &pid);
  if (!master) return master.error();
  const int pidfd = master->get();
  switch (signal) {
    case MasterSignal::kReload: {
      const std::string path = ReloadStatusPath(pid_file);
      // A status file is what the master wrote last; without one (a directory that it cannot write
      // to) there is nothing to wait for.
      Result<ReloadStatus> before = ReadReloadStatus(path);
      const Status sent = Send(pidfd, pid, SIGHUP);
      if (!sent.ok() || !before || before->pid != pid) return sent;
      return AwaitReload(pidfd, pid, path, before->sequence, reload_timeout_ms, warnings);
    }
    case MasterSignal::kQuit: {
      const Status sent = Send(pidfd, pid, SIGQUIT);
      if (sent.ok()) Gone(pidfd, -1);
      return sent;
    }
    case MasterSignal::kStop: {
      const Status sent = Send(pidfd, pid, SIGTERM);
      if (!sent.ok() || Gone(pidfd, kStopTimeoutMs)) return sent;
      return Status(StatusCode::kTimeout, StatusSource::kSystem,
                    "the master with pid " + std::to_string(pid) + " does not leave");
    }
    case MasterSignal::kReopen:
      return Send(pidfd, pid, SIGUSR1);
  }
  return Status(StatusCode::kInternal, StatusSource::kProxy, "unknown signal");
}

}  // namespace ub
