#include "http/authority.h"

#include <algorithm>

#include "core/config_text.h"
#include "http/char_class.h"
#include "http/headers.h"

namespace ub {
namespace {

constexpr size_t kMaxHostBytes = 255;
constexpr size_t kMaxPortBytes = 5;
constexpr unsigned kMaxPort = 65535;

// reg-name; IPv4 addresses are of that form too.
bool IsRegName(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsChar(text[i], kCharRegName)) {
      return false;
    }
    if (text[i] == '%' &&
        (text.size() - i < 3 || !IsChar(text[i + 1], kCharHex) || !IsChar(text[i + 2], kCharHex))) {
      return false;
    }
  }
  return !text.empty();
}

// A port may be empty: "host:" is the scheme's own port (RFC 3986 section 3.2.3).
bool IsPort(std::string_view text) {
  unsigned value = 0;
  for (char c : text) {
    if (!IsChar(c, kCharDigit)) {
      return false;
    }
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return text.size() <= kMaxPortBytes && value <= kMaxPort;
}

struct HostPort {
  std::string_view host;  // brackets included
  std::string_view port;
};

// Where the port begins: behind the bracket of an IPv6 address, else at the first colon.
HostPort Split(std::string_view authority) {
  const size_t bracket = authority.front() == '[' ? authority.find(']') : 0;
  const size_t colon = bracket == std::string_view::npos ? bracket : authority.find(':', bracket);
  if (colon == std::string_view::npos) {
    return {authority, {}};
  }
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

}  // namespace

bool IsValidAuthority(std::string_view authority) {
  if (authority.empty()) {
    return false;
  }
  const HostPort parts = Split(authority);
  if (parts.host.size() > kMaxHostBytes || !IsPort(parts.port)) {
    return false;
  }
  if (authority.front() == '[') {
    return parts.host.back() == ']' && IsIpv6(parts.host.substr(1, parts.host.size() - 2));
  }
  return IsRegName(parts.host);
}

bool SplitAbsoluteTarget(std::string_view target, AbsoluteTarget* parts) {
  constexpr std::string_view kHttp = "http://";
  constexpr std::string_view kHttps = "https://";
  if (EqualsIgnoreCase(target.substr(0, kHttp.size()), kHttp)) {
    parts->https = false;
    target.remove_prefix(kHttp.size());
  } else if (EqualsIgnoreCase(target.substr(0, kHttps.size()), kHttps)) {
    parts->https = true;
    target.remove_prefix(kHttps.size());
  } else {
    return false;
  }
  const size_t end = std::min(target.find_first_of("/?"), target.size());
  parts->authority = target.substr(0, end);
  parts->rest = target.substr(end);
  return true;
}

bool SameAuthority(std::string_view a, std::string_view b, bool https) {
  if (a.empty() || b.empty()) {
    return a.empty() && b.empty();
  }
  const std::string_view own_port = https ? "443" : "80";
  HostPort left = Split(a);
  HostPort right = Split(b);
  left.port = left.port.empty() ? own_port : left.port;
  right.port = right.port.empty() ? own_port : right.port;
  return EqualsIgnoreCase(left.host, right.host) && left.port == right.port;
}

}  // namespace ub
