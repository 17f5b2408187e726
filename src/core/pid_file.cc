#include "core/pid_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ub {

namespace {

struct flock WholeFile() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Pid of the process that holds the lock, 0 if nobody does, -1 where it has no pid here: it is in another pid namespace.
pid_t LockHolder(int fd) {
  struct flock lock = WholeFile();
  if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid > 0 ? lock.l_pid : -1;
}

Status Taken(const std::string& path, pid_t holder) {
  return Status(StatusCode::kExists, StatusSource::kSystem,
                "pid file " + path + " is held by a running instance " +
                    (holder > 0 ? "with pid " + std::to_string(holder) : "in another pid namespace") +
                    " (stop it, or set another pid_file)");
}

}  // namespace

Result<PidFile> PidFile::Create(const std::string& path) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd.valid()) return Fail(Status::System("cannot write pid file " + path, errno));
    struct flock lock = WholeFile();
    if (fcntl(fd.get(), F_SETLK, &lock) < 0) {
      if (errno != EACCES && errno != EAGAIN)
        return Fail(Status::System("cannot lock pid file " + path, errno));
      const pid_t holder = LockHolder(fd.get());
      if (holder == 0) continue;  // it left in between
      return Fail(Taken(path, holder));
    }
    // An instance that was leaving may have unlinked the file between our open and our lock: then
    // this lock is on a file without a name and keeps nobody off.
    struct stat ours {};
    struct stat named {};
    if (fstat(fd.get(), &ours) < 0 || stat(path.c_str(), &named) < 0 ||
        ours.st_ino != named.st_ino || ours.st_dev != named.st_dev) {
      continue;
    }
    const std::string text = std::to_string(getpid()) + "\n";
    if (ftruncate(fd.get(), 0) < 0 ||
        pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      return Fail(Status::System("cannot write pid file " + path, errno));
    }
    PidFile file;
    file.path_ = path;
    file.fd_ = std::move(fd);
    return file;
  }
  return Fail(
      Status(StatusCode::kExists, StatusSource::kSystem, "pid file " + path + " keeps changing"));
}

Status PidFile::MoveTo(const std::string& path) {
  if (rename(path_.c_str(), path.c_str()) < 0)
    return Status::System("cannot rename pid file " + path_ + " to " + path, errno);
  path_ = path;
  return Status::Ok();
}

void PidFile::Remove() {
  if (!fd_.valid()) return;
  unlink(path_.c_str());
  fd_.Reset();
}

void PidFile::Abandon() { fd_.Reset(); }

Result<pid_t> ReadPidFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) {
      return Fail(Status(StatusCode::kNotFound, StatusSource::kSystem,
                         "no pid file " + path +
                             " (is it running? give its configuration with -c, or --pid-file)"));
    }
    return Fail(Status::System("cannot read pid file " + path, errno));
  }
  const pid_t holder = LockHolder(fd.get());
  if (holder > 0) return holder;
  if (holder == 0) {
    return Fail(Status(StatusCode::kNotFound, StatusSource::kSystem,
                       "not running: pid file " + path + " is left from an instance that is gone"));
  }
  return Fail(Status(StatusCode::kPermission, StatusSource::kSystem,
                     "pid file " + path + " is held by an instance in another pid namespace (signal it from there)"));
}

}  // namespace ub
