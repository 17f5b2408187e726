#include "core/config_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ub {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool AllDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsDigit);
}

// A number with a suffix: splits "200ms" into 200 and "ms".
std::optional<uint64_t> SplitNumber(std::string_view text, std::string* suffix) {
  const auto end = std::ranges::find_if_not(text, IsDigit);
  const size_t digits = static_cast<size_t>(end - text.begin());
  *suffix = ToLowerAscii(TrimSpaces(text.substr(digits)));
  return ParseUnsigned(text.substr(0, digits));
}

std::optional<uint64_t> Multiply(uint64_t number, uint64_t factor) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(number, factor, &product)) return std::nullopt;
  return product;
}

Status Bad(std::string detail) { return Status::Config(std::move(detail)); }

Result<uint16_t> ParsePort(std::string_view whole, std::string_view text) {
  const std::optional<uint64_t> port = ParseUnsigned(text);
  if (!port)
    return Fail(Bad(fmt::format("\"{}\" has no valid port (HOST:PORT)", Printable(whole))));
  if (*port < 1 || *port > 65535) {
    return Fail(Bad(fmt::format("\"{}\": port {} is out of range (1 to 65535)", Printable(whole),
                                Printable(text))));
  }
  return static_cast<uint16_t>(*port);
}

// Takes ":WEIGHT" off the end of `rest`, where it is there.
Status TakeWeight(std::string_view whole, std::string_view text, Endpoint* out) {
  const std::optional<uint64_t> weight = ParseUnsigned(text);
  if (!weight || *weight < 1 || *weight > 65535) {
    return Bad(fmt::format("\"{}\": weight \"{}\" is out of range (1 to 65535)", Printable(whole),
                           Printable(text)));
  }
  out->weight = static_cast<uint32_t>(*weight);
  return Status::Ok();
}

Result<Endpoint> ParseUnixEndpoint(std::string_view text, bool allow_weight) {
  Endpoint out;
  out.is_unix = true;
  std::string_view path = text.substr(5);
  const size_t colon = path.rfind(':');
  if (allow_weight && colon != std::string_view::npos && AllDigits(path.substr(colon + 1))) {
    if (Status status = TakeWeight(text, path.substr(colon + 1), &out); !status.ok())
      return Fail(status);
    path = path.substr(0, colon);
  }
  if (const std::string wrong = CheckUnixPath(path); !wrong.empty()) {
    return Fail(Bad(fmt::format("\"{}\" {}", Printable(text), wrong)));
  }
  out.host = std::string(path);
  return out;
}

}  // namespace

std::string_view TrimSpaces(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::vector<std::string_view> SplitTrimmed(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (TrimSpaces(text).empty()) return parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(TrimSpaces(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string ToLowerAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string Printable(std::string_view text, size_t max) {
  std::string out;
  for (const char c : text) {
    const bool within_letter = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (out.size() >= max && !within_letter) return out + "...";
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

size_t FindInvalidUtf8(std::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    size_t size = 1;
    unsigned low = 0x80, high = 0xbf;  // of the second byte
    if (first >= 0x80) {
      if (first < 0xc2 || first > 0xf4) return i;
      size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    }
    for (size_t j = 1; j < size; ++j) {
      const unsigned next = byte(i + j);
      if (next < (j == 1 ? low : 0x80) || next > (j == 1 ? high : 0xbf)) return i;
    }
    i += size;
  }
  return std::string_view::npos;
}

std::optional<uint64_t> ParseUnsigned(std::string_view text) {
  if (!AllDigits(text)) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool IsNegativeNumber(std::string_view text) {
  return text.starts_with('-') && AllDigits(text.substr(1));
}

std::optional<bool> ParseBool(std::string_view text) {
  const std::string word = ToLowerAscii(text);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  return std::nullopt;
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  std::string suffix;
  const std::optional<uint64_t> number = SplitNumber(text, &suffix);
  if (!number) return std::nullopt;
  if (suffix.empty() || suffix == "b") return number;
  if (suffix == "k" || suffix == "kb") return Multiply(*number, 1ull << 10);
  if (suffix == "m" || suffix == "mb") return Multiply(*number, 1ull << 20);
  if (suffix == "g" || suffix == "gb") return Multiply(*number, 1ull << 30);
  return std::nullopt;
}

std::optional<uint64_t> ParseDurationMs(std::string_view text, uint64_t bare_unit_ms) {
  std::string suffix;
  const std::optional<uint64_t> number = SplitNumber(text, &suffix);
  if (!number) return std::nullopt;
  if (suffix.empty()) return Multiply(*number, bare_unit_ms);
  if (suffix == "ms") return number;
  if (suffix == "s") return Multiply(*number, 1000);
  if (suffix == "m" || suffix == "min") return Multiply(*number, 60 * 1000);
  if (suffix == "h") return Multiply(*number, 3600 * 1000);
  return std::nullopt;
}

bool IsIpv4(std::string_view text) {
  in_addr address{};
  return text.size() < INET_ADDRSTRLEN &&
         inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

// Also asked of each request that names its host so: nothing is allocated.
bool IsIpv6(std::string_view text) {
  char copy[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof copy || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), copy);
  in6_addr address{};
  return inet_pton(AF_INET6, copy, &address) == 1;
}

std::string CanonicalIp(std::string_view text) {
  in6_addr address{};
  char out[INET6_ADDRSTRLEN] = {};
  const std::string copy(text);
  if (IsIpv6(text) && inet_pton(AF_INET6, copy.c_str(), &address) == 1 &&
      inet_ntop(AF_INET6, &address, out, sizeof(out)) != nullptr) {
    return out;
  }
  return copy;  // inet_pton takes IPv4 in its one spelling only
}

bool IsLoopback(std::string_view ip) {
  return (IsIpv4(ip) && ip.starts_with("127.")) || CanonicalIp(ip) == "::1";
}

bool IsHostName(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return false;
  for (const char c : text) {  // of the whole: the split trims blanks around a dot away
    if (!IsAlnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  bool only_numbers = true;
  for (const std::string_view label : SplitTrimmed(text, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
      return false;
    only_numbers = only_numbers && AllDigits(label);
  }
  return !only_numbers;  // "10.0.0.300" is a mistyped address, not a name
}

bool IsNetwork(std::string_view text) {
  if (text == "unix:") return true;
  const size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  const bool v4 = IsIpv4(address);
  if (!v4 && !IsIpv6(address)) return false;
  if (slash == std::string_view::npos) return true;
  const std::optional<uint64_t> bits = ParseUnsigned(text.substr(slash + 1));
  return bits && *bits <= (v4 ? 32u : 128u);
}

std::string CheckUnixPath(std::string_view path) {
  if (path.empty()) return "has no path (unix:/path)";
  if (path.front() != '/') return "is not an absolute path (unix:/path)";
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(path, is_control)) return "has a control character";
  constexpr size_t kMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kMax) return fmt::format("is too long for a socket (at most {} bytes)", kMax);
  return {};
}

Result<Endpoint> ParseEndpoint(std::string_view text, bool allow_weight) {
  text = TrimSpaces(text);
  if (text.empty()) return Fail(Bad("an address is empty (HOST:PORT)"));
  if (text.starts_with("unix:")) return ParseUnixEndpoint(text, allow_weight);
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    return Fail(Bad(fmt::format("\"{}\" is a URL (write HOST:PORT)", Printable(text))));
  }
  Endpoint out;
  std::string_view rest;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || !IsIpv6(text.substr(1, close - 1))) {
      return Fail(Bad(
          fmt::format("\"{}\" is not an IPv6 address in brackets ([::1]:80)", Printable(text))));
    }
    out.host = CanonicalIp(text.substr(1, close - 1));
    rest = text.substr(close + 1);
  } else {
    if (IsIpv6(text)) {
      return Fail(
          Bad(fmt::format("\"{}\" has no port (write [{}]:80)", Printable(text), Printable(text))));
    }
    const size_t colon = text.find(':');
    out.host = std::string(text.substr(0, colon));
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!IsIpv4(out.host) && !IsHostName(out.host)) {
      const bool many = std::ranges::count(text, ':') > 2;
      return Fail(Bad(fmt::format("\"{}\": \"{}\" is no address and no name{}", Printable(text),
                                  Printable(out.host), many ? " (write IPv6 as [::1]:80)" : "")));
    }
  }
  if (rest.size() < 2 || rest.front() != ':') {
    return Fail(Bad(fmt::format("\"{}\" has no port (HOST:PORT)", Printable(text))));
  }
  rest.remove_prefix(1);
  const size_t colon = rest.find(':');
  Result<uint16_t> port = ParsePort(text, rest.substr(0, colon));
  if (!port) return Fail(port.error());
  out.port = *port;
  if (colon != std::string_view::npos) {
    if (!allow_weight) {
      return Fail(
          Bad(fmt::format("\"{}\" is not HOST:PORT (write IPv6 as [::1]:80)", Printable(text))));
    }
    if (Status status = TakeWeight(text, rest.substr(colon + 1), &out); !status.ok())
      return Fail(status);
  }
  return out;
}

namespace {

// "leastconn" for least-connections, "warning" for warn: the one candidate that begins like the
// word, or that it begins with.
std::string_view OnlyAbbreviated(std::string_view word,
                                 const std::vector<std::string_view>& candidates) {
  const auto letters = [](std::string_view text) {
    std::string out = ToLowerAscii(text);
    std::erase_if(out, [](char c) { return c == '-' || c == '_'; });
    return out;
  };
  const std::string wanted = letters(word);
  std::string_view found;
  for (const std::string_view candidate : candidates) {
    const std::string other = letters(candidate);
    if (std::min(wanted.size(), other.size()) < 4) continue;
    if (!wanted.starts_with(other) && !other.starts_with(wanted)) continue;
    if (!found.empty()) return {};
    found = candidate;
  }
  return found;
}

}  // namespace

std::string_view NearestWord(std::string_view word,
                             const std::vector<std::string_view>& candidates) {
  std::string wanted = ToLowerAscii(word.substr(0, 64));
  std::ranges::replace(wanted, '_', '-');
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, std::min<size_t>(3, wanted.size() / 3)) + 1;
  for (const std::string_view candidate : candidates) {
    std::string other = ToLowerAscii(candidate);
    std::ranges::replace(other, '_', '-');
    // Damerau-Levenshtein (neighbours swapped count once), three rows.
    std::vector<size_t> before, previous(other.size() + 1), current(other.size() + 1);
    for (size_t j = 0; j <= other.size(); ++j) previous[j] = j;
    for (size_t i = 1; i <= wanted.size(); ++i) {
      current[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t cost = wanted[i - 1] == other[j - 1] ? 0 : 1;
        current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost});
        if (i > 1 && j > 1 && wanted[i - 1] == other[j - 2] && wanted[i - 2] == other[j - 1]) {
          current[j] = std::min(current[j], before[j - 2] + 1);
        }
      }
      before = previous;
      std::swap(previous, current);
    }
    if (previous[other.size()] < best_distance) {
      best_distance = previous[other.size()];
      best = candidate;
    }
  }
  return best.empty() ? OnlyAbbreviated(wanted, candidates) : best;
}

}  // namespace ub
