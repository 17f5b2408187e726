#include "http/char_scan.h"

#include <string>

#include "gtest/gtest.h"

namespace ub {
namespace {

// Where `skip` stops in texts that hold every byte at every place around those that are looked at together, between
// neighbours of all kinds that it passes over.
void ExpectStops(const char* (*skip)(const char*, const char*), CharClass passes, std::string_view fillers) {
  for (const char filler : fillers) {
    for (size_t size = 0; size <= 36; ++size) {
      for (size_t at = 0; at < size; ++at) {
        for (unsigned c = 0; c < 256; ++c) {
          std::string text(size, filler);
          text[at] = static_cast<char>(c);
          const char* const end = text.data() + size;
          const bool stops = !IsChar(static_cast<char>(c), passes);
          ASSERT_EQ(skip(text.data(), end) - text.data(), static_cast<ptrdiff_t>(stops ? at : size))
              << "byte " << c << " at " << at << " of " << size;
        }
      }
    }
  }
}

TEST(SkipText, StopsAtTheSameByteAsTheTableWhereverItStands) {
  ExpectStops(SkipText, kCharText, "a\t\x80\xff ~");
}

TEST(SkipName, StopsAtTheSameByteAsTheTableWhereverItStands) {
  ExpectStops(SkipName, kCharToken, "aZ09-_~!");
}

TEST(SkipChars, StopsAtTheFirstOfAnotherClassOrTheEnd) {
  const std::string_view text = "123x5";
  const char* const end = text.data() + text.size();
  EXPECT_EQ(SkipChars(text.data(), end, kCharDigit), text.data() + 3);
  EXPECT_EQ(SkipChars(text.data(), end, kCharToken), end);
  EXPECT_EQ(SkipChars(end, end, kCharToken), end);
}

}  // namespace
}  // namespace ub
