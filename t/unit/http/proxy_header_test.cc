#include "http/proxy_header.h"

#include <array>
#include <set>
#include <string>

#include "cut_feed.h"
#include "gtest/gtest.h"

namespace ub {
namespace {

using std::string_view_literals::operator""sv;

// `verdict` is "more", "bad", or what an accepted head comes to: the source ("-": none), "tls", and the bytes left behind
// it. `source` is a section of HAProxy's proxy-protocol.txt.
struct Case {
  const char* name;
  std::string_view bytes;
  std::string_view verdict;
  const char* source;
};

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\0\x50"
#define V6                                                      \
  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                  \
  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x30\x39\0\x50"
#define SSL_VALUE "\x20\0\x05\x01\0\0\0\0"
constexpr Case kCases[] = {
#include "proxy_header_cases.inc"
};
#undef SIGNATURE
#undef V4
#undef V6
#undef SSL_VALUE

std::string Feed(std::string_view bytes, const Cuts& cuts) {
  for (const size_t cut : cuts) {
    const ExactCopy piece(bytes.substr(0, cut));
    ProxyHead head;
    const char* reason = "";
    switch (ParseProxyHead(piece.view(), &head, &reason)) {
      case ProxyVerdict::kIncomplete:
        continue;
      case ProxyVerdict::kBad:
        EXPECT_NE(std::string_view(reason), "");
        return "bad";
      case ProxyVerdict::kComplete:
        break;
    }
    std::array<char, PeerAddress::kMaxText> text;
    std::string out = "-";
    if (head.source) {
      out = std::string(head.source->Text(&text)) + " " + std::to_string(head.source->port());
    }
    if (head.tls) out += " tls";
    if (head.bytes < bytes.size()) out += " rest=" + std::to_string(bytes.size() - head.bytes);
    return out;
  }
  return "more";
}

TEST(ProxyHeader, VerdictIsTheTablesHoweverTheBytesAreCut) {
  std::set<std::string> names;
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.name) + " (" + c.source + ")");
    EXPECT_TRUE(names.insert(c.name).second);
    for (const Cuts& cuts : AllCuts(c.bytes.size())) {
      EXPECT_EQ(Feed(c.bytes, cuts), c.verdict) << "in " << cuts.size() << " pieces";
    }
  }
  EXPECT_GE(names.size(), 60u);
}

TEST(ProxyHeader, ExtraValuesAreTakenUpToTheLimit) {
  const std::string signature("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
  const std::string addresses("\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\0\x50", 12);
  for (const size_t whole : {kMaxProxyHeadBytes, kMaxProxyHeadBytes + 1}) {
    const size_t length = whole - 16;
    const size_t value = length - 12 - 3;
    std::string head = signature;
    head += {static_cast<char>(length >> 8), static_cast<char>(length & 255)};
    head += addresses;
    head += {'\x04', static_cast<char>(value >> 8), static_cast<char>(value & 255)};
    head.append(value, 'x');
    EXPECT_EQ(Feed(head, WholeCut(head.size())),
              whole == kMaxProxyHeadBytes ? "192.0.2.1 12345" : "bad");
    EXPECT_EQ(Feed(head.substr(0, 16), WholeCut(16)), whole == kMaxProxyHeadBytes ? "more" : "bad");
  }
}

}  // namespace
}  // namespace ub
