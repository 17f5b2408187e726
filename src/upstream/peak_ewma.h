// A response time as it is expected next: a moving average over some seconds that jumps to a peak at once.
//
// One shared word a backend (BackendSlot::ewma): the value in 256 ns units in the upper half, the time of its last
// change in units of 2^20 ns (about 1 ms) in the lower; 0 is "nothing known". Written by CAS by whoever reports, at most
// once a time unit and for each new peak; read by fastest-response. A writer that is killed leaves the old word or the new.
#ifndef UB_UPSTREAM_PEAK_EWMA_H_
#define UB_UPSTREAM_PEAK_EWMA_H_

#include <atomic>
#include <cstdint>

namespace ub {

class PeakEwma {
 public:
  // Time in which a sample's weight falls to 1/e.
  static constexpr double kTauNs = 5e9;

  explicit PeakEwma(const std::atomic<uint64_t>& word) : word_(word.load(std::memory_order_relaxed)) {}

  // Nanoseconds, 0 where nothing is known.
  double Value() const { return static_cast<double>(word_ >> 32) * 256; }
  // What to expect now, of a backend that is compared with one whose Value() is `rival`: the older the own value, the
  // nearer to the rival's.
  double Estimate(uint64_t now_ns, double rival) const;

  // A request was answered after `response_ns`. With `peak_only` it can only raise the value: a failure's time, which says
  // how long one waits there and not how fast one is served.
  static void Record(std::atomic<uint64_t>& word, uint64_t response_ns, uint64_t now_ns, bool peak_only = false);

 private:
  uint64_t word_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_PEAK_EWMA_H_
