#include "http/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace ub {
namespace {

// NOLINTNEXTLINE(misc-unused-using-decls): it is used, in a literal
using std::string_view_literals::operator""sv;

constexpr std::string_view kPrefix1 = "PROXY ";
constexpr size_t kMaxLine = 107;
constexpr std::string_view kSignature2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t kFixed2 = 16;
constexpr uint8_t kTypeSsl = 0x20;
constexpr uint8_t kClientSsl = 0x01;

uint8_t Byte(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

size_t Number16(std::string_view bytes, size_t at) {
  return static_cast<size_t>(Byte(bytes, at) << 8 | Byte(bytes, at + 1));
}

ProxyVerdict Bad(const char** reason, const char* why) {
  *reason = why;
  return ProxyVerdict::kBad;
}

// True where `bytes` can still become something that begins with `prefix`.
bool MayBegin(std::string_view bytes, std::string_view prefix) {
  const size_t count = std::min(bytes.size(), prefix.size());
  return bytes.substr(0, count) == prefix.substr(0, count);
}

PeerAddress FromRaw(std::string_view ip, uint16_t port) {
  sockaddr_storage storage{};
  if (ip.size() == 4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.data(), ip.size());
    std::memcpy(&storage, &v4, sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, ip.data(), ip.size());
    std::memcpy(&storage, &v6, sizeof v6);
  }
  return PeerAddress::From(storage);
}

// The text up to the next space, which is taken with it. The last word has none behind it.
std::string_view TakeWord(std::string_view* line) {
  const size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  *line = space == std::string_view::npos ? std::string_view() : line->substr(space + 1);
  return word;
}

bool ParsePort(std::string_view text, uint16_t* port) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  *port = static_cast<uint16_t>(value);
  return value <= 65535;
}

bool ParseIp(std::string_view text, bool ipv6, std::array<char, 16>* ip) {
  char copy[PeerAddress::kMaxText];
  if (text.size() >= sizeof copy) return false;
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  return inet_pton(ipv6 ? AF_INET6 : AF_INET, copy, ip->data()) == 1;
}

// "TCP4 SOURCE DESTINATION PORT PORT", as it stands between "PROXY " and CRLF.
bool ParseLine(std::string_view line, ProxyHead* head) {
  const std::string_view family = TakeWord(&line);
  if (family == "UNKNOWN") return true;  // whatever follows is to be ignored
  if (family != "TCP4" && family != "TCP6") return false;
  if (std::count(line.begin(), line.end(), ' ') != 3) return false;
  const bool ipv6 = family == "TCP6";
  std::array<char, 16> source, destination;
  uint16_t source_port = 0, destination_port = 0;
  if (!ParseIp(TakeWord(&line), ipv6, &source) || !ParseIp(TakeWord(&line), ipv6, &destination) ||
      !ParsePort(TakeWord(&line), &source_port) || !ParsePort(line, &destination_port)) {
    return false;
  }
  head->source = FromRaw({source.data(), ipv6 ? size_t{16} : size_t{4}}, source_port);
  return true;
}

ProxyVerdict Parse1(std::string_view bytes, ProxyHead* head, const char** reason) {
  // A CR ends the line, the LF behind it is awaited; any other control character is none of a line's.
  const size_t cr = bytes.substr(0, kMaxLine - 1).find('\r');
  const std::string_view seen = bytes.substr(0, std::min(cr, kMaxLine - 1));
  for (const char c : seen) {
    if (c < 0x20 || c > 0x7e) return Bad(reason, "control character in a PROXY line");
  }
  if (cr == std::string_view::npos) {
    return bytes.size() < kMaxLine - 1 ? ProxyVerdict::kIncomplete : Bad(reason, "overlong PROXY line");
  }
  if (bytes.size() == cr + 1) return ProxyVerdict::kIncomplete;
  if (bytes[cr + 1] != '\n') return Bad(reason, "bare CR in a PROXY line");
  if (!ParseLine(bytes.substr(kPrefix1.size(), cr - kPrefix1.size()), head)) {
    return Bad(reason, "malformed PROXY line");
  }
  head->bytes = cr + 2;
  return ProxyVerdict::kComplete;
}

// The type-length-values behind the addresses must fit exactly; the one about TLS is read.
bool ParseValues(std::string_view values, ProxyHead* head) {
  while (!values.empty()) {
    if (values.size() < 3) return false;
    const uint8_t type = Byte(values, 0);
    const size_t length = Number16(values, 1);
    if (values.size() < 3 + length) return false;
    if (type == kTypeSsl) {
      if (length < 5) return false;
      head->tls = (Byte(values, 3) & kClientSsl) != 0;
    }
    values.remove_prefix(3 + length);
  }
  return true;
}

ProxyVerdict Parse2(std::string_view bytes, ProxyHead* head, const char** reason) {
  if (bytes.size() > 12 && Byte(bytes, 12) >> 4 != 2) return Bad(reason, "PROXY head of another version");
  if (bytes.size() > 12 && (Byte(bytes, 12) & 15) > 1) return Bad(reason, "unknown PROXY command");
  if (bytes.size() < kFixed2) return ProxyVerdict::kIncomplete;
  const bool local = (Byte(bytes, 12) & 15) == 0;
  const uint8_t family = Byte(bytes, 13);
  const size_t length = Number16(bytes, 14);
  if (kFixed2 + length > kMaxProxyHeadBytes) return Bad(reason, "overlong PROXY head");
  if (bytes.size() < kFixed2 + length) return ProxyVerdict::kIncomplete;
  head->bytes = kFixed2 + length;
  if (local) return ProxyVerdict::kComplete;  // its addresses mean nothing
  const std::string_view body = bytes.substr(kFixed2, length);
  size_t ip_bytes = 0;
  if (family == 0x11) ip_bytes = 4;
  if (family == 0x21) ip_bytes = 16;
  if (family >> 4 > 3 || (family & 15) > 2) return Bad(reason, "unknown PROXY address family");
  if (ip_bytes == 0) return ProxyVerdict::kComplete;
  const size_t address_bytes = 2 * ip_bytes + 4;
  if (length < address_bytes) return Bad(reason, "PROXY head without its addresses");
  const auto port = static_cast<uint16_t>(Number16(body, 2 * ip_bytes));
  head->source = FromRaw(body.substr(0, ip_bytes), port);
  if (!ParseValues(body.substr(address_bytes), head)) return Bad(reason, "malformed value in a PROXY head");
  return ProxyVerdict::kComplete;
}

}  // namespace

ProxyVerdict ParseProxyHead(std::string_view bytes, ProxyHead* head, const char** reason) {
  *head = ProxyHead();
  if (MayBegin(bytes, kSignature2)) {
    return bytes.size() < kSignature2.size() ? ProxyVerdict::kIncomplete : Parse2(bytes, head, reason);
  }
  if (!MayBegin(bytes, kPrefix1)) return Bad(reason, "no PROXY head");
  return bytes.size() < kPrefix1.size() ? ProxyVerdict::kIncomplete : Parse1(bytes, head, reason);
}

}  // namespace ub
