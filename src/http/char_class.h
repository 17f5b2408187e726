// Character classes of HTTP/1 text (RFC 9110 section 5, RFC 3986 section 2), one table for every
// parser here.
//
// Used by the head scanner, the chunked decoder and the header helpers. A look-up is one load; char_scan.h
// passes over many at once. Worker and controller processes.
#ifndef UB_HTTP_CHAR_CLASS_H_
#define UB_HTTP_CHAR_CLASS_H_

#include <array>
#include <cstdint>
#include <string_view>

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
