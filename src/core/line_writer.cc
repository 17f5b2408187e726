#include "core/line_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ub {
namespace {

constexpr size_t kMaxLine = LineWriter::kCapacity / 2;

}  // namespace

void LineWriter::SetFd(int fd) {
  Flush();
  fd_ = fd;
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0) return;
  kind_ = S_ISREG(info.st_mode)    ? Kind::kFile
          : S_ISSOCK(info.st_mode) ? Kind::kSocket
                                   : Kind::kOther;
  max_line_ = kind_ == Kind::kFile ? kMaxLine : PIPE_BUF;
  // A pipe that was inherited and could not be opened anew blocks: changing that would change it
  // for whoever passed it.
  waits_ = kind_ == Kind::kOther && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

char* LineWriter::Begin() {
  if (memory_ == nullptr) memory_ = std::make_unique_for_overwrite<char[]>(kCapacity);
  if (kCapacity - end_ < max_line_) {
    Flush();
    // What a slow reader left is moved to the front, at most once for each write that it takes.
    if (start_ > 0) {
      std::memmove(memory_.get(), memory_.get() + start_, end_ - start_);
      end_ -= start_;
      start_ = 0;
    }
  }
  if (fd_ < 0 || kCapacity - end_ < max_line_) {
    ++dropped_;
    return nullptr;
  }
  return memory_.get() + end_;
}

void LineWriter::End(size_t bytes) { end_ += bytes; }

bool LineWriter::Flush() {
  while (start_ < end_ && WriteOnce()) {
  }
  if (start_ < end_) return false;
  start_ = end_ = 0;
  return true;
}

// As many whole lines as stay together.
size_t LineWriter::PieceBytes() const {
  const size_t bytes = end_ - start_;
  if (kind_ == Kind::kFile || bytes <= PIPE_BUF) return bytes;
  const std::string_view piece(memory_.get() + start_, PIPE_BUF);
  const size_t last = piece.rfind('\n');
  return last == std::string_view::npos ? PIPE_BUF : last + 1;
}

bool LineWriter::WriteOnce() {
  if (fd_ < 0) return false;
  pollfd ready{fd_, POLLOUT, 0};
  if (waits_ && poll(&ready, 1, 0) != 1) return false;
  const char* const from = memory_.get() + start_;
  const size_t bytes = PieceBytes();
  const ssize_t n = kind_ == Kind::kSocket ? send(fd_, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
                                           : write(fd_, from, bytes);
  if (n < 0) return errno == EINTR;
  // A part of it was taken (a full disk, a socket): the rest follows when there is room, so that
  // the line is whole again.
  start_ += static_cast<size_t>(n);
  return n > 0;
}

uint64_t LineWriter::TakeDropped() { return std::exchange(dropped_, 0); }

}  // namespace ub
