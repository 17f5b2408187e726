// Lines for a file, pipe or terminal, gathered in memory and written without ever waiting for
// whoever reads them.
//
// Several processes write to the same place. Each write carries whole lines and no more than the
// kernel keeps together: any number to a file (O_APPEND, or an offset that the processes share),
// PIPE_BUF bytes to all else. Where the reader is too slow and the memory is full, lines are
// dropped whole, and counted.
//
// One a process; owned by whoever logs. A line costs a copy; a write takes about 1 µs for each 8
// KiB.
#ifndef UB_CORE_LINE_WRITER_H_
#define UB_CORE_LINE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace ub {

class LineWriter {
 public:
  static constexpr size_t kCapacity = size_t{64} * 1024;

  LineWriter() = default;
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Lines go to `fd` from now on (not owned; -1: nowhere). What is there still is written to the
  // old one first.
  void SetFd(int fd);
  int fd() const { return fd_; }
  // Of a line, its newline included: longer ones could tear.
  size_t max_line() const { return max_line_; }

  // Room for one line: max_line() bytes, or null where there is none, and the line is counted as
  // dropped. The memory is taken at the first call.
  char* Begin();
  // The line that was written there has `bytes` bytes, its newline included.
  void End(size_t bytes);
  // Writes what it can; true where nothing is left.
  bool Flush();

  bool empty() const { return start_ == end_; }
  // Dropped lines since the last call.
  uint64_t TakeDropped();

 private:
  enum class Kind : uint8_t { kFile, kSocket, kOther };

  bool WriteOnce();
  size_t PieceBytes() const;

  int fd_ = -1;
  Kind kind_ = Kind::kOther;
  bool waits_ = false;  // a write to it may block: it is asked first
  size_t max_line_ = 0;
  std::unique_ptr<char[]> memory_;
  size_t start_ = 0, end_ = 0;  // what is not written yet
  uint64_t dropped_ = 0;
};

}  // namespace ub

#endif  // UB_CORE_LINE_WRITER_H_
