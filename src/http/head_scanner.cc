#include "http/head_scanner.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "http/char_class.h"
#include "http/char_scan.h"

namespace ub {
namespace {

constexpr uint32_t kMaxMethodBytes = 32;
constexpr uint32_t kMaxEmptyLines = 2;
constexpr std::string_view kVersionShape = "HTTP/d.d";  // d: any digit
// What nearly every head has in that place: taken at once where all of it is there.
constexpr std::string_view kUsualVersion = "HTTP/1.1\r\n";
constexpr std::string_view kUsualStatusVersion = "HTTP/1.1 ";

enum State : uint8_t {
  kStart,        // before the first line
  kEmptyLineLf,  // in an empty line before it
  kMethod,
  kTarget,
  kVersion,
  kStatusVersion,
  kStatusRest,  // status code and reason
  kLineLf,      // behind the CR of a line
  kFieldStart,
  kName,
  kValue,
  kEndLf,  // behind the CR of the blank line
};

class Scanner {
 public:
  Scanner(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits, HeaderList* fields)
      : begin_(bytes.data()), cursor_(cursor), limits_(limits), fields_(fields) {
    const uint64_t most =
        std::min<uint64_t>(limits.header_bytes, std::numeric_limits<uint32_t>::max());
    end_ = begin_ + std::min<uint64_t>(bytes.size(), most);
    most_ = static_cast<uint32_t>(most);
    p_ = begin_ + cursor.scanned;
  }

  ParseOutcome Run(bool response) {
    bool complete = false;
    while (p_ < end_ && !complete) {
      if (!Step(response, &complete)) {
        return RefuseHead(status_, reason_);
      }
    }
    cursor_.scanned = Offset();
    if (complete) {
      return {ParseVerdict::kComplete, 0, ""};
    }
    if (cursor_.scanned < most_) {
      return {};
    }
    if (cursor_.state == kTarget) {
      return RefuseHead(414, "the request target is too long");
    }
    return RefuseHead(431, "the head is too large");
  }

 private:
  uint32_t Offset() const { return static_cast<uint32_t>(p_ - begin_); }

  bool Refuse(uint16_t status, const char* reason) {
    status_ = status;
    reason_ = reason;
    return false;
  }

  // Takes at least one byte. False: refused, status_ and reason_ say how.
  bool Step(bool response, bool* complete) {
    switch (cursor_.state) {
      case kStart:
        return Start(response);
      case kEmptyLineLf:
        return Lf(kStart);
      case kMethod:
        return TakeMethod();
      case kTarget:
        return TakeTarget();
      case kVersion:
        return TakeVersion();
      case kStatusVersion:
        return TakeStatusVersion();
      case kStatusRest:
        return TakeText();
      case kLineLf:
        ++cursor_.lines;
        return Lf(kFieldStart);
      case kFieldStart:
        return FieldStart();
      case kName:
        return TakeName();
      case kValue:
        return TakeText();
      default:
        *complete = *p_ == '\n';
        return Lf(kEndLf);
    }
  }

  bool Lf(State next) {
    if (*p_ != '\n') {
      return Refuse(400, "bare CR");
    }
    ++p_;
    cursor_.state = next;
    return true;
  }

  // RFC 9112 section 2.2: empty lines before a request line are passed over; a response has none.
  bool Start(bool response) {
    if (!response && *p_ == '\r') {
      if (++cursor_.empty_lines > kMaxEmptyLines) {
        return Refuse(400, "too many empty lines before the request");
      }
      ++p_;
      cursor_.state = kEmptyLineLf;
      return true;
    }
    cursor_.first_line = Offset();
    cursor_.state = response ? kStatusVersion : kMethod;
    return response ? TakeStatusVersion() : TakeMethod();
  }

  bool TakeMethod() {
    const uint32_t left = kMaxMethodBytes - (Offset() - cursor_.first_line);
    p_ = SkipChars(p_, end_ - p_ > left ? p_ + left : end_, kCharToken);
    if (p_ == end_) {
      return true;
    }
    if (IsChar(*p_, kCharToken)) {
      return Refuse(501, "unknown method");
    }
    if (*p_ != ' ') {
      return Refuse(400, "malformed request line");
    }
    if (Offset() == cursor_.first_line) {
      return Refuse(400, "malformed request line");
    }
    ++p_;
    cursor_.target_start = Offset();
    cursor_.state = kTarget;
    return true;
  }

  bool TakeTarget() {
    const uint64_t taken = Offset() - cursor_.target_start;
    const uint64_t left = limits_.uri_bytes - std::min(taken, limits_.uri_bytes);
    const char* const longest = left < static_cast<uint64_t>(end_ - p_) ? p_ + left : end_;
    p_ = SkipChars(p_, longest, kCharTarget);
    if (p_ == end_) {
      return true;
    }
    if (IsChar(*p_, kCharTarget)) {
      return Refuse(414, "the request target is too long");
    }
    if (*p_ != ' ') {
      return Refuse(400, *p_ == '\r' ? "request line without a version"
                                     : "forbidden character in the request target");
    }
    cursor_.target_end = Offset();
    if (cursor_.target_end == cursor_.target_start) {
      return Refuse(400, "malformed request line");
    }
    ++p_;
    cursor_.state = kVersion;
    return true;
  }

  // The bytes of kVersionShape from `start` on; stops behind them, or at the end of what is there.
  bool TakeVersionShape(uint32_t start) {
    for (uint32_t at = Offset() - start; at < kVersionShape.size() && p_ < end_; ++at, ++p_) {
      const bool fits =
          kVersionShape[at] == 'd' ? IsChar(*p_, kCharDigit) : *p_ == kVersionShape[at];
      if (!fits) {
        return Refuse(400, "malformed HTTP version");
      }
    }
    return true;
  }

  bool TakeIfNext(std::string_view text) {
    if (static_cast<size_t>(end_ - p_) < text.size() || std::memcmp(p_, text.data(), text.size()) != 0) {
      return false;
    }
    p_ += text.size();
    return true;
  }

  bool VersionIsKnown(uint32_t start) const {
    const char* const version = begin_ + start;
    return version[5] == '1' && (version[7] == '1' || version[7] == '0');
  }

  bool TakeVersion() {
    const uint32_t start = cursor_.target_end + 1;
    if (Offset() == start && TakeIfNext(kUsualVersion)) {
      ++cursor_.lines;
      cursor_.state = kFieldStart;
      return true;
    }
    if (!TakeVersionShape(start)) {
      return false;
    }
    if (p_ == end_) {
      return true;
    }
    if (*p_ != '\r') {
      return Refuse(400, "malformed HTTP version");
    }
    if (!VersionIsKnown(start)) {
      return Refuse(505, "HTTP version not supported");
    }
    ++p_;
    cursor_.state = kLineLf;
    return true;
  }

  bool TakeStatusVersion() {
    if (Offset() == cursor_.first_line && TakeIfNext(kUsualStatusVersion)) {
      cursor_.state = kStatusRest;
      return true;
    }
    if (!TakeVersionShape(cursor_.first_line)) {
      return false;
    }
    if (p_ == end_) {
      return true;
    }
    if (!VersionIsKnown(cursor_.first_line)) {
      return Refuse(505, "HTTP version not supported");
    }
    if (*p_ != ' ') {
      return Refuse(400, "malformed status line");
    }
    ++p_;
    cursor_.state = kStatusRest;
    return true;
  }

  // A field whose whole line is there, in one go. False: take it byte by byte, which also finds out
  // what is wrong with it.
  bool TakeFieldLine() {
    const char* const colon = SkipName(p_, end_);
    if (colon == p_ || colon == end_ || *colon != ':' || cursor_.lines > limits_.headers) {
      return false;
    }
    const char* const cr = SkipText(colon + 1, end_);
    if (end_ - cr < 2 || cr[0] != '\r' || cr[1] != '\n') {
      return false;
    }
    const std::string_view name(p_, static_cast<size_t>(colon - p_));
    const std::string_view value = TrimBlanks({colon + 1, static_cast<size_t>(cr - colon - 1)});
    const bool verbatim = value.data() == colon + 2 && colon[1] == ' ' && value.data() + value.size() == cr;
    fields_->push_back({name, value, HeaderIdOf(name), verbatim});
    ++cursor_.lines;
    p_ = cr + 2;
    return true;
  }

  bool FieldStart() {
    while (p_ < end_ && TakeFieldLine()) {
    }
    if (p_ == end_) {
      return true;
    }
    if (*p_ == '\r') {
      ++p_;
      cursor_.state = kEndLf;
      return true;
    }
    if (IsBlank(*p_)) {
      return Refuse(400, "folded header line");
    }
    if (*p_ == ':') {
      return Refuse(400, "header without a name");
    }
    if (!IsChar(*p_, kCharToken)) {
      return Refuse(400, *p_ == '\n' ? "bare LF" : "forbidden character in a header name");
    }
    if (cursor_.lines > limits_.headers) {
      return Refuse(431, "too many headers");
    }
    ++p_;
    cursor_.state = kName;
    return true;
  }

  bool TakeName() {
    p_ = SkipChars(p_, end_, kCharToken);
    if (p_ == end_) {
      return true;
    }
    if (*p_ != ':') {
      return Refuse(400, *p_ == '\r' || *p_ == '\n' ? "header line without a colon"
                                                    : "forbidden character in a header name");
    }
    ++p_;
    cursor_.state = kValue;
    return true;
  }

  bool TakeText() {
    p_ = SkipText(p_, end_);
    if (p_ == end_) {
      return true;
    }
    if (*p_ != '\r') {
      return Refuse(400, *p_ == '\n' ? "bare LF" : "control character in the head");
    }
    ++p_;
    cursor_.state = kLineLf;
    return true;
  }

  const char* begin_;
  const char* end_;
  const char* p_;
  uint32_t most_;
  HeadCursor& cursor_;
  const ParseLimits& limits_;
  HeaderList* fields_;
  uint16_t status_ = 0;
  const char* reason_ = "";
};

// A head that came in one piece was cut into fields while it was scanned. One that came in several
// was not: its bytes may have moved since. Now that it is whole, it is scanned once more.
ParseOutcome Scan(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                  bool response, HeaderList* fields) {
  const bool in_one_piece = cursor.scanned == 0;
  fields->clear();
  const ParseOutcome outcome = Scanner(bytes, cursor, limits, fields).Run(response);
  if (outcome.verdict != ParseVerdict::kComplete || in_one_piece) {
    return outcome;
  }
  HeadCursor again;
  fields->clear();
  return Scanner(bytes.substr(0, cursor.scanned), again, limits, fields).Run(response);
}

}  // namespace

ParseOutcome ScanRequestHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                             HeaderList* fields) {
  return Scan(bytes, cursor, limits, false, fields);
}

ParseOutcome ScanResponseHead(std::string_view bytes, HeadCursor& cursor, const ParseLimits& limits,
                              HeaderList* fields) {
  return Scan(bytes, cursor, limits, true, fields);
}

}  // namespace ub
