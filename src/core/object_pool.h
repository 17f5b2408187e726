// Objects that are used again: what is given back is what the next one takes, still warm in the cache.
//
// Single-threaded; Take allocates only where none is free. Any process.
#ifndef UB_CORE_OBJECT_POOL_H_
#define UB_CORE_OBJECT_POOL_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace ub {

template <class T>
class ObjectPool {
 public:
  // `keep`: free objects that are kept; those of a burst beyond it are deleted.
  explicit ObjectPool(size_t keep) : keep_(keep) {}

  // One that was used before, as its last user left it, or a new one made from `args`.
  template <class... Args>
  std::unique_ptr<T> Take(Args&&... args) {
    if (free_.empty()) return std::make_unique<T>(std::forward<Args>(args)...);
    std::unique_ptr<T> object = std::move(free_.back());
    free_.pop_back();
    return object;
  }
  void Give(std::unique_ptr<T> object) {
    if (free_.size() < keep_) free_.push_back(std::move(object));
  }
  size_t free() const { return free_.size(); }

 private:
  const size_t keep_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace ub

#endif  // UB_CORE_OBJECT_POOL_H_
