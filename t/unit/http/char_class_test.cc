#include "http/char_class.h"

#include <string>

#include "gtest/gtest.h"

namespace ub {
namespace {

bool In(std::string_view chars, unsigned c) { return chars.find(static_cast<char>(c)) != std::string_view::npos; }

TEST(CharClass, EveryByteIsOfTheClassesThatTheStandardsSay) {
  const std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kDigits = "0123456789";
  for (unsigned c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool alnum = c != 0 && (In(kLetters, c) || In(kDigits, c));
    EXPECT_EQ(IsChar(byte, kCharToken), c != 0 && (alnum || In("!#$%&'*+-.^_`|~", c))) << c;       // RFC 9110 section 5.6.2
    EXPECT_EQ(IsChar(byte, kCharText), c == '\t' || (c >= 0x20 && c != 0x7f)) << c;                // section 5.5
    EXPECT_EQ(IsChar(byte, kCharTarget), c > 0x20 && c < 0x7f && c != '#') << c;                   // RFC 3986
    EXPECT_EQ(IsChar(byte, kCharRegName), c != 0 && (alnum || In("-._~!$&'()*+,;=%", c))) << c;    // section 3.2.2
    EXPECT_EQ(IsChar(byte, kCharDigit), c != 0 && In(kDigits, c)) << c;
    EXPECT_EQ(IsChar(byte, kCharHex), c != 0 && (In(kDigits, c) || In("abcdefABCDEF", c))) << c;
    EXPECT_EQ(IsBlank(byte), c == ' ' || c == '\t') << c;
  }
}

TEST(CharClass, HexDigitsHaveTheirValues) {
  const std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(HexValue(lower[i]), i);
    EXPECT_EQ(HexValue(upper[i]), i);
  }
}

TEST(TrimBlanks, TakesBlanksFromBothEndsOnly) {
  EXPECT_EQ(TrimBlanks(" \t a b\t "), "a b");
  EXPECT_EQ(TrimBlanks("ab"), "ab");
  EXPECT_EQ(TrimBlanks(" \t "), "");
  EXPECT_EQ(TrimBlanks(""), "");
  EXPECT_EQ(TrimBlanks("\r\na\v"), "\r\na\v") << "no other white space";
}

}  // namespace
}  // namespace ub
