#include "core/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/config_text.h"
#include "core/unique_fd.h"

namespace ub {

namespace {

Status WriteWhole(const std::string& path, std::string_view content, mode_t mode, bool durable) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return Status::System("cannot write " + path, errno);
  while (!content.empty()) {
    const ssize_t n = write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Status::System("cannot write " + path, n < 0 ? errno : ENOSPC);
    content.remove_prefix(static_cast<size_t>(n));
  }
  // Else a crash of the machine could leave the new name on an empty file.
  if (durable && fsync(fd.get()) < 0) return Status::System("cannot write " + path, errno);
  return Status::Ok();
}

}  // namespace

Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode, bool durable) {
  const std::string fresh = path + ".new";
  Status status = WriteWhole(fresh, content, mode, durable);
  if (status.ok() && rename(fresh.c_str(), path.c_str()) < 0) {
    status = Status::System("cannot write " + path, errno);
  }
  if (!status.ok()) unlink(fresh.c_str());
  return status;
}

Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  // Not blocking: the path may be a FIFO's.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    const int error = errno;
    const StatusCode code = error == ENOENT ? StatusCode::kNotFound : StatusCode::kSystem;
    return Fail(Status(code, StatusSource::kSystem,
                       Status::System("cannot read " + Printable(path, 200), error).detail()));
  }
  std::string text;
  char bytes[16384];
  for (;;) {
    const ssize_t n = read(fd.get(), bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(Status::System("cannot read " + Printable(path, 200), errno));
    if (n == 0) return text;
    text.append(bytes, static_cast<size_t>(n));
    if (text.size() > max_bytes) {
      return Fail(Status(StatusCode::kTooLarge, StatusSource::kSystem,
                         fmt::format("{} is too large (at most {} bytes)", Printable(path, 200), max_bytes)));
    }
  }
}

}  // namespace ub
