#include "event/buffer.h"

#include <cassert>
#include <cstring>
#include <new>

namespace ub {

char* Buffer::Reserve(size_t bytes) {
  if (room() >= bytes) return block_ + end_;
  const size_t held = size();
  if (begin_ > 0 && capacity_ - held >= bytes && held <= begin_) {
    std::memcpy(block_, block_ + begin_, held);  // no overlap: held <= begin_
  } else {
    uint32_t capacity = 0;
    // Doubling keeps the copying of a trickled head linear.
    const size_t want = held + bytes > 2 * held ? held + bytes : 2 * held;
    char* block = pool_->Take(want, &capacity);
    if (held > 0) std::memcpy(block, block_ + begin_, held);
    if (block_ != nullptr) pool_->Give(block_, capacity_);
    block_ = block;
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = static_cast<uint32_t>(held);
  return block_ + end_;
}

void Buffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
  Commit(bytes.size());
}

void Buffer::Consume(size_t bytes) {
  assert(bytes <= size());
  begin_ += static_cast<uint32_t>(bytes);
  if (begin_ == end_) Clear();
}

void Buffer::Clear() {
  if (block_ != nullptr) pool_->Give(block_, capacity_);
  block_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

BufferPool::~BufferPool() {
  for (auto& list : free_) {
    for (char* block : list) ::operator delete(block);
  }
}

char* BufferPool::Take(size_t bytes, uint32_t* capacity) {
  for (size_t c = 0; c < kClasses.size(); ++c) {
    if (bytes > kClasses[c]) continue;
    *capacity = kClasses[c];
    bytes_out_ += kClasses[c];
    if (free_[c].empty()) return static_cast<char*>(::operator new(kClasses[c]));
    char* block = free_[c].back();
    free_[c].pop_back();
    return block;
  }
  *capacity = static_cast<uint32_t>(bytes);
  bytes_out_ += bytes;
  return static_cast<char*>(::operator new(bytes));
}

void BufferPool::Give(char* block, uint32_t capacity) {
  bytes_out_ -= capacity;
  for (size_t c = 0; c < kClasses.size(); ++c) {
    if (capacity != kClasses[c]) continue;
    if ((free_[c].size() + 1) * kClasses[c] > kKeepBytes) break;
    free_[c].push_back(block);
    return;
  }
  ::operator delete(block);
}

}  // namespace ub
