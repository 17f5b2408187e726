// Sends bytes to a parser in pieces, for the tests of the HTTP parsers: the verdict must not depend
// on the cuts.
//
// Each prefix is handed over in a block of exactly its size, freshly allocated: AddressSanitizer
// sees a read past the end, and a parser that kept a pointer into the last call's bytes is caught.
#ifndef UB_T_UNIT_HTTP_CUT_FEED_H_
#define UB_T_UNIT_HTTP_CUT_FEED_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

namespace ub {

// Offsets at which a message is cut, its end included.
using Cuts = std::vector<size_t>;

inline Cuts WholeCut(size_t size) { return {size}; }

inline Cuts ByteCuts(size_t size) {
  Cuts cuts;
  for (size_t at = 1; at <= size; ++at) {
    cuts.push_back(at);
  }
  return cuts.empty() ? Cuts{0} : cuts;
}

inline Cuts RandomCuts(size_t size, std::mt19937& random) {
  Cuts cuts{size};
  std::uniform_int_distribution<size_t> place(0, size);
  for (size_t left = 1 + random() % 5; left > 0; --left) {
    cuts.push_back(place(random));
  }
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

// Every way in which the tests cut a message of that size.
inline std::vector<Cuts> AllCuts(size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::vector<Cuts> all{WholeCut(size), ByteCuts(size)};
  for (int i = 0; i < 12; ++i) {
    all.push_back(RandomCuts(size, random));
  }
  return all;
}

// A copy of bytes in memory of exactly their size.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : size_(bytes.size()), data_(new char[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  size_t size_;
  std::unique_ptr<char[]> data_;
};

}  // namespace ub

#endif  // UB_T_UNIT_HTTP_CUT_FEED_H_
