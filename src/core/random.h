// A small fast generator (xoshiro256**), for choices that need no secrecy: balancing, jitter,
// tests.
//
// Any process; one object a user, not thread-safe. A draw costs about 1 ns.
#ifndef UB_CORE_RANDOM_H_
#define UB_CORE_RANDOM_H_

#include <cstdint>

namespace ub {

class Random {
 public:
  explicit Random(uint64_t seed) {
    // splitmix64 spreads the seed, so that neighbouring seeds (worker 0, worker 1) share nothing.
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
      word = mixed ^ (mixed >> 31);
    }
  }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, n); 0 for n == 0. Multiply-shift: the bias is below n / 2^32.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(((Next() >> 32) * uint64_t{n}) >> 32); }

  // Uniform in [0, 1), 53 bits.
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  static uint64_t Rotate(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }

  uint64_t state_[4];
};

}  // namespace ub

#endif  // UB_CORE_RANDOM_H_
