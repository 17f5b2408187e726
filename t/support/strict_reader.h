// A second reader of HTTP/1 requests, written apart from the proxy's: what the proxy lets through is held against it. Strict in
// framing, and it knows nothing that a proxy does not have to know.
#ifndef UB_T_SUPPORT_STRICT_READER_H_
#define UB_T_SUPPORT_STRICT_READER_H_

#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ub {

struct ReadRequest {
  std::string method, target, host, body;
  bool upgrade = false;
  bool operator==(const ReadRequest&) const = default;
};

enum class ReadState : uint8_t { kWhole, kPartial, kWrong };

class StrictReader {
 public:
  // `relayed`: as a proxy must write it, so HTTP/1.1, in origin form, without chunk extensions.
  explicit StrictReader(std::string_view bytes, bool relayed) : rest_(bytes), relayed_(relayed) {}

  // The next request. After kPartial and kWrong there is none.
  ReadState Next(ReadRequest* out);
  const char* why() const { return why_; }
  std::string_view rest() const { return rest_; }

 private:
  ReadState Wrong(const char* why) {
    why_ = why;
    return ReadState::kWrong;
  }
  // A line without its CRLF, taken off *at; a bare CR or LF, or a control character, is wrong.
  ReadState Line(std::string_view* at, std::string_view* line);
  ReadState RequestLine(std::string_view line, ReadRequest* out);
  ReadState Field(std::string_view line, ReadRequest* out);
  ReadState Chunks(std::string_view* at, std::string* body);

  std::string_view rest_;
  const bool relayed_;
  const char* why_ = "";
  // Of the request under way.
  int minor_ = 1, hosts_ = 0, lengths_ = 0, codings_ = 0;
  bool wants_upgrade_ = false, names_upgrade_ = false;
  uint64_t length_ = 0;
};

namespace strict {

inline bool Same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i]))) return false;
  }
  return true;
}

inline bool Token(std::string_view text) {
  for (const char c : text) {
    const bool good = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
    if (!good) return false;
  }
  return !text.empty();
}

inline std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline bool Number(std::string_view text, int base, uint64_t* out) {
  constexpr uint64_t kMost = INT64_MAX;
  uint64_t value = 0;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : 99;
    if (digit >= base) return false;
    const auto more = static_cast<uint64_t>(digit), times = static_cast<uint64_t>(base);
    if (value > (kMost - more) / times) return false;
    value = value * times + more;
  }
  *out = value;
  return !text.empty();
}

}  // namespace strict

inline ReadState StrictReader::Line(std::string_view* at, std::string_view* line) {
  for (size_t i = 0; i < at->size(); ++i) {
    const auto c = static_cast<unsigned char>((*at)[i]);
    if (c == '\r') {
      if (i + 1 == at->size()) return ReadState::kPartial;
      if ((*at)[i + 1] != '\n') return Wrong("bare CR");
      *line = at->substr(0, i);
      at->remove_prefix(i + 2);
      return ReadState::kWhole;
    }
    if ((c < 0x20 && c != '\t') || c == 0x7f) return Wrong("control character");
  }
  return ReadState::kPartial;
}

inline ReadState StrictReader::RequestLine(std::string_view line, ReadRequest* out) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Wrong("request line");
  const std::string_view method = line.substr(0, first), version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!strict::Token(method) || target.empty()) return Wrong("request line");
  for (const char c : target) {
    if (c <= 0x20 || c >= 0x7f) return Wrong("target");
  }
  if (version != "HTTP/1.1" && (relayed_ || version != "HTTP/1.0")) return Wrong("version");
  minor_ = version.back() - '0';
  const size_t scheme = target.find("://");
  if (!relayed_ && target.front() != '/' && scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
    const size_t path = target.find_first_of("/?");
    out->host = target.substr(0, path);
    target = path == std::string_view::npos ? std::string_view() : target.substr(path);
    if (target.empty()) target = method == "OPTIONS" ? "*" : "/";
    if (target.front() == '?') out->target = "/";
  } else if (target.front() != '/' && target != "*") {
    return Wrong("form of the target");
  }
  out->target += target;
  out->method = method;
  return ReadState::kWhole;
}

inline ReadState StrictReader::Field(std::string_view line, ReadRequest* out) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !strict::Token(line.substr(0, colon))) return Wrong("field");
  const std::string_view name = line.substr(0, colon), value = strict::Trim(line.substr(colon + 1));
  if (strict::Same(name, "Host")) {
    ++hosts_;
    if (out->host.empty()) out->host = value;
  } else if (strict::Same(name, "Content-Length")) {
    ++lengths_;
    if (!strict::Number(value, 10, &length_)) return Wrong("length");
  } else if (strict::Same(name, "Transfer-Encoding")) {
    ++codings_;
    if (!strict::Same(value, "chunked") || minor_ == 0) return Wrong("coding");
  } else if (strict::Same(name, "Upgrade")) {
    names_upgrade_ = true;
  } else if (strict::Same(name, "Connection")) {
    if (relayed_ && value != "upgrade") return Wrong("hop-by-hop field passed on");
    wants_upgrade_ = true;
  }
  return ReadState::kWhole;
}

inline ReadState StrictReader::Chunks(std::string_view* at, std::string* body) {
  for (;;) {
    std::string_view line;
    if (const ReadState state = Line(at, &line); state != ReadState::kWhole) return state;
    const size_t extension = relayed_ ? std::string_view::npos : line.find(';');
    uint64_t size = 0;
    if (!strict::Number(line.substr(0, extension), 16, &size)) return Wrong("chunk size");
    if (size == 0) break;
    if (at->size() < size + 2) {
      const std::string_view behind = at->size() > size ? at->substr(size) : std::string_view();
      return behind.empty() || behind == "\r" ? ReadState::kPartial : Wrong("end of a chunk");
    }
    body->append(at->substr(0, size));
    if (at->substr(size, 2) != "\r\n") return Wrong("end of a chunk");
    at->remove_prefix(size + 2);
  }
  for (;;) {
    std::string_view line;
    if (const ReadState state = Line(at, &line); state != ReadState::kWhole) return state;
    if (line.empty()) return ReadState::kWhole;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !strict::Token(line.substr(0, colon))) return Wrong("trailer");
  }
}

inline ReadState StrictReader::Next(ReadRequest* out) {
  *out = ReadRequest();
  minor_ = 1;
  hosts_ = lengths_ = codings_ = 0;
  wants_upgrade_ = names_upgrade_ = false;
  length_ = 0;
  std::string_view at = rest_, line;
  for (int blank = 0; !relayed_ && blank < 4 && at.starts_with("\r\n"); ++blank) at.remove_prefix(2);
  if (const ReadState state = Line(&at, &line); state != ReadState::kWhole) return state;
  if (const ReadState state = RequestLine(line, out); state != ReadState::kWhole) return state;
  for (;;) {
    if (const ReadState state = Line(&at, &line); state != ReadState::kWhole) return state;
    if (line.empty()) break;
    if (const ReadState state = Field(line, out); state != ReadState::kWhole) return state;
  }
  if (hosts_ > 1 || (hosts_ == 0 && minor_ == 1)) return Wrong("number of Hosts");
  if (lengths_ > 1 || codings_ > 1 || (lengths_ > 0 && codings_ > 0)) return Wrong("two framings");
  out->upgrade = wants_upgrade_ && names_upgrade_;
  if (codings_ > 0) {
    if (const ReadState state = Chunks(&at, &out->body); state != ReadState::kWhole) return state;
  } else {
    if (at.size() < length_) return ReadState::kPartial;
    out->body = at.substr(0, length_);
    at.remove_prefix(length_);
  }
  rest_ = at;
  return ReadState::kWhole;
}

}  // namespace ub

#endif  // UB_T_SUPPORT_STRICT_READER_H_
