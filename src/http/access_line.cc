#include "http/access_line.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ub {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Length of the UTF-8 sequence that `text` begins with; 0 where it is none (RFC 3629).
size_t Utf8Sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const auto follows = [&](size_t i, int low = 0x80, int high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const int first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const int low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const int low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Appends to memory that has room for everything but long texts: those share `spare`.
class Pen {
 public:
  Pen(char* at, size_t room, AccessFormat format)
      : start_(at),
        at_(at),
        spare_(room > kAccessLineFixed ? room - kAccessLineFixed : 0),
        json_(format == AccessFormat::kJson) {}
  size_t written() const { return static_cast<size_t>(at_ - start_); }

  void Put(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void Number(uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
  void Padded(uint64_t value, int digits) {
    at_ += digits;
    for (int i = 1; i <= digits; ++i, value /= 10) *(at_ - i) = static_cast<char>('0' + value % 10);
  }
  // Milliseconds with three digits behind the point.
  void Millis(uint64_t ns) {
    const uint64_t us = ns / 1000;
    Number(us / 1000);
    Put(".");
    Padded(us % 1000, 3);
  }

  // A text of a peer, at most `share` percent of what is spare.
  void Text(std::string_view text, size_t share) {
    char* const end = at_ + spare_ * share / 100;
    while (!text.empty()) {
      const size_t plain = PlainPrefix(text);
      const size_t fits = std::min(plain, static_cast<size_t>(end - at_));
      Put(text.substr(0, fits));
      text.remove_prefix(fits);
      if (text.empty()) return;
      if (fits < plain || end - at_ < 6) return Put("...");
      text.remove_prefix(Escape(text));
    }
  }

 private:
  // Characters that stand for themselves in either format.
  static size_t PlainPrefix(std::string_view text) {
    size_t n = 0;
    while (n < text.size() && text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' &&
           text[n] != '\\')
      ++n;
    return n;
  }
  // Writes the character that is none of those, in at most 6 bytes; how many it took.
  size_t Escape(std::string_view text) {
    const auto byte = static_cast<uint8_t>(text[0]);
    const char hex[] = {kHex[byte >> 4], kHex[byte & 15]};
    if (!json_) {
      Put("\\x");
    } else if (byte == '"' || byte == '\\') {
      Put("\\");
      Put(text.substr(0, 1));
      return 1;
    } else if (byte >= 0x80) {
      const size_t bytes = Utf8Sequence(text);
      Put(bytes == 0 ? "\\ufffd" : text.substr(0, bytes));
      return std::max<size_t>(bytes, 1);
    } else {
      Put("\\u00");
    }
    Put({hex, 2});
    return 1;
  }

  char* const start_;
  char* at_;
  const size_t spare_;
  const bool json_;
};

// "25/Nov/2026:12:00:00 +0100", worked out once a second. A worker has one thread.
std::string_view CombinedTime(uint64_t unix_ms) {
  static time_t cached = -1;
  static char text[32];
  static size_t bytes = 0;
  const auto second = static_cast<time_t>(unix_ms / 1000);
  if (second != cached) {
    static constexpr char kMonths[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    tm parts{};
    localtime_r(&second, &parts);
    // Month names do not follow the locale: programs read this.
    bytes = strftime(text, sizeof text, "%d/___/%Y:%H:%M:%S %z", &parts);
    std::memcpy(text + 3, kMonths[parts.tm_mon], 3);
    cached = second;
  }
  return {text, bytes};
}

// "2026-11-25T12:00:00", UTC.
std::string_view IsoTime(uint64_t unix_ms) {
  static time_t cached = -1;
  static char text[32];
  static size_t bytes = 0;
  const auto second = static_cast<time_t>(unix_ms / 1000);
  if (second != cached) {
    tm parts{};
    gmtime_r(&second, &parts);
    bytes = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    cached = second;
  }
  return {text, bytes};
}

std::string_view VerdictName(RateVerdict verdict) {
  switch (verdict) {
    case RateVerdict::kExempt:
      return "exempt";
    case RateVerdict::kPassed:
      return "passed";
    case RateVerdict::kLimited:
      return "limited";
    case RateVerdict::kNone:
      break;
  }
  return "off";
}

std::string_view VersionName(uint8_t minor_version) {
  if (minor_version == kHttp2Version) return "HTTP/2.0";
  return minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

void PutCombined(const AccessEntry& entry, Pen* pen) {
  pen->Put(entry.client);
  pen->Put(" - - [");
  pen->Put(CombinedTime(entry.unix_ms));
  pen->Put("] \"");
  if (!entry.method.empty()) {
    pen->Text(entry.method, 5);
    pen->Put(" ");
    pen->Text(entry.target, 55);
    pen->Put(" ");
    pen->Put(VersionName(entry.minor_version));
  } else if (!entry.first_line.empty()) {
    pen->Text(entry.first_line, 60);
  } else {
    pen->Put("-");
  }
  pen->Put("\" ");
  pen->Number(entry.status);
  pen->Put(" ");
  pen->Number(entry.bytes_sent);
  pen->Put(" \"");
  pen->Text(entry.referer.empty() ? "-" : entry.referer, 20);
  pen->Put("\" \"");
  pen->Text(entry.user_agent.empty() ? "-" : entry.user_agent, 20);
  pen->Put("\"\n");
}

// Writes `"name":"text"`, with what is to stand before it.
void PutText(Pen* pen, std::string_view name, std::string_view text, size_t share) {
  pen->Put(name);
  pen->Put("\"");
  pen->Text(text, share);
  pen->Put("\"");
}

void PutNumber(Pen* pen, std::string_view name, uint64_t value) {
  pen->Put(name);
  pen->Number(value);
}

void PutMillis(Pen* pen, std::string_view name, uint64_t ns) {
  pen->Put(name);
  if (ns == AccessEntry::kNone) {
    pen->Put("null");
  } else {
    pen->Millis(ns);
  }
}

void PutJson(const AccessEntry& entry, Pen* pen) {
  pen->Put("{\"time\":\"");
  pen->Put(IsoTime(entry.unix_ms));
  pen->Put(".");
  pen->Padded(entry.unix_ms % 1000, 3);
  pen->Put("Z\"");
  // Checked when it was taken: nothing in it needs escaping.
  pen->Put(",\"request_id\":\"");
  pen->Put(entry.request_id);
  pen->Put("\",\"client\":\"");
  pen->Put(entry.client);
  pen->Put("\"");
  PutText(pen, ",\"method\":", entry.method, 5);
  PutText(pen, ",\"target\":", entry.method.empty() ? entry.first_line : entry.target, 50);
  PutText(pen, ",\"protocol\":",
          entry.method.empty() ? std::string_view() : VersionName(entry.minor_version), 1);
  PutNumber(pen, ",\"status\":", entry.status);
  PutNumber(pen, ",\"bytes_received\":", entry.bytes_received);
  PutNumber(pen, ",\"bytes_sent\":", entry.bytes_sent);
  PutText(pen, ",\"backend\":", entry.backend, 5);
  PutNumber(pen, ",\"tries\":", entry.tries);
  PutMillis(pen, ",\"connect_ms\":", entry.connect_ns);
  PutMillis(pen, ",\"first_byte_ms\":", entry.first_byte_ns);
  PutMillis(pen, ",\"total_ms\":", entry.total_ns);
  pen->Put(",\"rate_limit\":\"");
  pen->Put(VerdictName(entry.rate_limit));
  pen->Put(entry.complete ? "\",\"complete\":true" : "\",\"complete\":false");
  PutText(pen, ",\"referer\":", entry.referer, 20);
  PutText(pen, ",\"user_agent\":", entry.user_agent, 19);
  pen->Put("}\n");
}

}  // namespace

size_t FormatAccessLine(const AccessEntry& entry, AccessFormat format, char* out, size_t room) {
  Pen pen(out, room, format);
  if (format == AccessFormat::kJson) {
    PutJson(entry, &pen);
  } else {
    PutCombined(entry, &pen);
  }
  return pen.written();
}

}  // namespace ub
