#include "core/daemon.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace ub {

namespace {

int WaitForWord(int fd) {
  unsigned char status = 1;
  ssize_t got = 0;
  do {
    got = read(fd, &status, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1 ? status : 1;
}

}  // namespace

Result<std::optional<int>> Daemon::Begin() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return Fail(Status::System("pipe", errno));
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return Fail(Status::System("fork", errno));
  if (pid > 0) {
    writer.Reset();
    return std::optional<int>(WaitForWord(reader.get()));
  }
  setsid();
  pipe_ = std::move(writer);
  return std::optional<int>();
}

void Daemon::Ready() {
  if (!pipe_.valid()) return;
  DetachStandardStreams();
  const unsigned char status = 0;
  // A parent that is gone already waits for nothing.
  if (write(pipe_.get(), &status, 1) < 0) errno = 0;
  pipe_.Reset();
}

void DetachStandardStreams() {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return;
  for (int fd = 0; fd <= 2; ++fd) dup2(null.get(), fd);
}

}  // namespace ub
