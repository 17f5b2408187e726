// Passing over runs of one class of characters, 16 at a time where the processor has SSE2, else 8 or one.
//
// Used by the head scanner, the chunked decoder and the header helpers. Nothing is read at or behind `end`. Worker and
// controller processes.
#ifndef UB_HTTP_CHAR_SCAN_H_
#define UB_HTTP_CHAR_SCAN_H_

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/char_class.h"

namespace ub {

// First byte in [p, end) that is not of the class.
inline const char* SkipChars(const char* p, const char* end, CharClass wanted) {
  while (p < end && IsChar(*p, wanted)) {
    ++p;
  }
  return p;
}

#ifdef __SSE2__

// One bit a byte: of 16 bytes at `p`, those between `first` and `last`, both included.
inline unsigned BytesBetween(__m128i bytes, char first, char last) {
  const __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
  const __m128i range = _mm_set1_epi8(static_cast<char>(last - first));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(offset, range), offset)));
}

inline unsigned BytesEqual(__m128i bytes, char c) {
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c))));
}

// First byte in [p, end) that is not kCharText, 16 bytes at a time.
inline const char* SkipText(const char* p, const char* end) {
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const unsigned stops = BytesBetween(bytes, 0, 0x1f) | BytesEqual(bytes, 0x7f);
    if (stops == 0) {
      p += 16;
      continue;
    }
    p += std::countr_zero(stops);
    if (*p != '\t') {
      return p;
    }
    ++p;
  }
  return SkipChars(p, end, kCharText);
}

// First byte in [p, end) that is not kCharToken; quick where that lies within 16 bytes and all before it are letters,
// digits and hyphens, as in nearly every field name.
inline const char* SkipName(const char* p, const char* end) {
  if (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    const unsigned plain =
        BytesBetween(lower, 'a', 'z') | BytesBetween(bytes, '0', '9') | BytesEqual(bytes, '-');
    p += std::countr_one(plain);
  }
  return SkipChars(p, end, kCharToken);
}

#else

// The same for kCharText, eight bytes at a time. In `suspects` the high bit is set of each byte
// under 0x20 and each DEL, and of no byte before the first such one.
inline const char* SkipText(const char* p, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  constexpr uint64_t kHighs = 0x8080808080808080u;
  while (end - p >= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    const uint64_t controls = (word - kOnes * 0x20) & ~word;
    const uint64_t flipped = word ^ (kOnes * 0x7f);
    const uint64_t deletes = (flipped - kOnes) & ~flipped;
    const uint64_t suspects = (controls | deletes) & kHighs;
    if (suspects == 0) {
      p += 8;
      continue;
    }
    if constexpr (std::endian::native == std::endian::little) {
      p += std::countr_zero(suspects) / 8;
    }
    const char* const stop = SkipChars(p, p + 1, kCharText);
    if (stop == p) {
      return p;
    }
    p = stop;
  }
  return SkipChars(p, end, kCharText);
}

inline const char* SkipName(const char* p, const char* end) { return SkipChars(p, end, kCharToken); }

#endif

}  // namespace ub

#endif  // UB_HTTP_CHAR_SCAN_H_
