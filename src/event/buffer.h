// Pooled memory for bytes that must outlive a callback: an unfinished head, a body's unsent rest.
//
// A connection takes a buffer when it has such bytes and gives it back when they are gone; an idle one holds none.
// One pool a loop; single-threaded. Take and give are a list operation in steady state.
#ifndef UB_EVENT_BUFFER_H_
#define UB_EVENT_BUFFER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ub {

class BufferPool;

// A growable run of bytes from a pool: append at the end, consume at the front. Movable; returns its block by itself.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(BufferPool* pool) : pool_(pool) {}
  Buffer(Buffer&& other) noexcept { Swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Clear(); }

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  char* data() { return block_ + begin_; }
  std::string_view view() const { return {block_ + begin_, size()}; }

  // Room for `bytes` more behind the data; the data may move.
  char* Reserve(size_t bytes);
  // `bytes` were written to what Reserve gave.
  void Commit(size_t bytes) { end_ += static_cast<uint32_t>(bytes); }
  void Append(std::string_view bytes);
  // Drops bytes at the front; the block goes back when nothing is left.
  void Consume(size_t bytes);
  void Clear();
  size_t room() const { return capacity_ - end_; }

 private:
  void Swap(Buffer& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

  BufferPool* pool_ = nullptr;
  char* block_ = nullptr;
  uint32_t begin_ = 0, end_ = 0, capacity_ = 0;
};

class BufferPool {
 public:
  // Block sizes; larger ones come from the heap and go back to it.
  static constexpr std::array<uint32_t, 5> kClasses = {1024, 4096, 16384, 65536 + 4096, 128 * 1024 + 4096};
  // Free bytes kept a class: enough for a burst, little enough to forget one.
  static constexpr size_t kKeepBytes = 4 * 1024 * 1024;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // A block of at least `bytes`; *capacity tells its size.
  char* Take(size_t bytes, uint32_t* capacity);
  void Give(char* block, uint32_t capacity);
  // Bytes in blocks that are out.
  size_t bytes_out() const { return bytes_out_; }

 private:
  std::array<std::vector<char*>, kClasses.size()> free_;
  size_t bytes_out_ = 0;
};

}  // namespace ub

#endif  // UB_EVENT_BUFFER_H_
