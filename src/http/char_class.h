// Character classes of HTTP/1 text (RFC 9110 section 5, RFC 3986 section 2), one table for every
// parser here.
//
// Used by the head scanner, the chunked decoder and the header helpers. A look-up is one load; long
// field values are passed over 16 bytes at a time (8 where there is no SSE2). Worker and controller processes.
#ifndef UB_HTTP_CHAR_CLASS_H_
#define UB_HTTP_CHAR_CLASS_H_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace ub {

enum CharClass : uint8_t {
  kCharToken = 1,    // tchar: methods, field names
  kCharText = 2,     // field values and reason phrases: VCHAR, blank, tab, obs-text
  kCharTarget = 4,   // request targets: visible ASCII without '#'
  kCharRegName = 8,  // host names: unreserved, sub-delims, '%'
  kCharDigit = 16,
  kCharHex = 32,
};

constexpr std::array<uint8_t, 256> MakeCharTable() {
  std::array<uint8_t, 256> table{};
  auto mark = [&table](std::string_view chars, int bits) {
    for (char c : chars) {
      uint8_t& entry = table[static_cast<uint8_t>(c)];
      entry = static_cast<uint8_t>(entry | bits);
    }
  };
  for (unsigned c = 0x21; c < 0x7f; ++c) {
    table[c] = c == '#' ? kCharText : (kCharText | kCharTarget);
  }
  for (unsigned c = 0x80; c < 0x100; ++c) {
    table[c] = kCharText;
  }
  mark(" \t", kCharText);
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kCharToken | kCharRegName);
  mark("0123456789", kCharToken | kCharRegName | kCharDigit | kCharHex);
  mark("abcdefABCDEF", kCharHex);
  mark("!#$%&'*+-.^_`|~", kCharToken);
  mark("-._~!$&'()*+,;=%", kCharRegName);
  return table;
}

inline constexpr std::array<uint8_t, 256> kCharTable = MakeCharTable();

constexpr bool IsChar(char c, CharClass wanted) {
  return (kCharTable[static_cast<uint8_t>(c)] & wanted) != 0;
}

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The value of a hex digit; the caller has checked that it is one.
constexpr unsigned HexValue(char c) {
  return c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

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

constexpr std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && IsBlank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace ub

#endif  // UB_HTTP_CHAR_CLASS_H_
