#include "core/sealed_memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ub {

namespace {
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
}

Result<UniqueFd> MakeSealedMemfd(const char* name, std::string_view text) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Fail(Status::System("memfd_create", errno));
  while (!text.empty()) {
    const ssize_t written = write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Fail(Status::System("write to a memfd", errno));
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0)
    return Fail(Status::System("seals of a memfd", errno));
  return fd;
}

Result<std::string> ReadSealedMemfd(int fd, size_t max_bytes) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return Fail(Status(StatusCode::kProtocol, StatusSource::kSystem,
                       "configuration came without its seals"));
  }
  struct stat info {};
  if (fstat(fd, &info) < 0) return Fail(Status::System("fstat of a memfd", errno));
  if (static_cast<size_t>(info.st_size) > max_bytes)
    return Fail(Status(StatusCode::kTooLarge, StatusSource::kSystem, "a memfd holds too much"));
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    // pread: all children share one file offset.
    const ssize_t got = pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(Status::System("read of a memfd", errno));
    have += static_cast<size_t>(got);
  }
  return text;
}

}  // namespace ub
