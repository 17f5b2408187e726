// A token bucket as one number: the generic cell rate algorithm (GCRA).
//
// The number is the time at which the bucket will be full again. Taking a token moves it on by the
// time that one token takes to come back; a token may be taken while it is not so far ahead that
// the bucket is empty. No timer refills anything, and the whole state fits into a part of a word
// that processes can swap.
//
// Pure arithmetic, no state but the settings; any process. A few nanoseconds.
#ifndef UB_CORE_TOKEN_BUCKET_H_
#define UB_CORE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

namespace ub {

class TokenBucket {
 public:
  // Times are microseconds modulo 2^44, which is 203 days: half of that is how far two of them may
  // be apart.
  static constexpr int kTimeBits = 44;
  static constexpr uint64_t kTimeMask = (uint64_t{1} << kTimeBits) - 1;

  // `per_second` tokens come back in a second, at most `capacity` are there at once. 0 counts as 1.
  // A bucket takes at most 50 days to fill: a larger capacity is cut to that.
  TokenBucket(uint32_t per_second, uint32_t capacity)
      : per_second_(std::max(per_second, 1u)),
        interval_((uint64_t{kSecond} << 32) / per_second_),
        slack_us_(std::min((std::max(capacity, 1u) - 1) * kSecond / per_second_, kMaxSlack)) {}

  struct Verdict {
    bool admitted;
    uint64_t until;    // what is to be stored
    uint64_t wait_us;  // refused: until there is a token, at least 1
    uint64_t full_us;  // until the bucket is full
  };

  // Takes a token at `now` from the bucket whose number is `until`; for a new bucket give `now` for
  // both. `dither` are random bits: the time of one token is no whole number of microseconds, and
  // rounding it at random keeps the rate exact at any speed. Where two processes read their clocks
  // apart, the later one counts.
  Verdict Take(uint64_t until, uint64_t now, uint32_t dither) const {
    // Further ahead than this bucket can be is what was stored under settings that have changed
    // since: it is empty.
    const uint64_t most = slack_us_ + (interval_ >> 32) + 1;
    const uint64_t ahead = std::min(Ahead(until, now), most);
    if (ahead > slack_us_) return {false, (now + ahead) & kTimeMask, ahead - slack_us_, ahead};
    const uint64_t full = ahead + ((interval_ + dither) >> 32);
    return {true, (now + full) & kTimeMask, 0, full};
  }

  // How long the bucket with this number takes to be full; 0: it is, and there is nothing to
  // remember of it.
  static uint64_t Ahead(uint64_t until, uint64_t now) {
    const uint64_t ahead = (until - now) & kTimeMask;
    return ahead > kTimeMask / 2 ? 0 : ahead;
  }

  // The monotonic clock's nanoseconds as such a time.
  static uint64_t Time(uint64_t now_ns) { return now_ns / 1000 & kTimeMask; }

 private:
  static constexpr uint64_t kSecond = 1'000'000;
  static constexpr uint64_t kMaxSlack = uint64_t{1} << (kTimeBits - 2);

  uint64_t per_second_;
  uint64_t interval_;  // of one token, in 2^-32 microseconds
  uint64_t slack_us_;  // ahead by no more than this, there is a token
};

}  // namespace ub

#endif  // UB_CORE_TOKEN_BUCKET_H_
