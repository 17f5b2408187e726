#include "http/management_access.h"

#include "core/config_text.h"
#include "http/headers.h"

namespace ub {
namespace {

// "[::1]:80" → "::1", "name:80" → "name".
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    return end == std::string_view::npos ? std::string_view() : authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

// The part behind "http://" or "https://"; empty for any other origin, as "null".
std::string_view AuthorityOfOrigin(std::string_view origin) {
  const size_t at = origin.find("://");
  if (at == std::string_view::npos) return {};
  const std::string_view scheme = origin.substr(0, at);
  return scheme == "http" || scheme == "https" ? origin.substr(at + 3) : std::string_view();
}

}  // namespace

bool EqualsInConstantTime(std::string_view given, std::string_view secret) {
  // Every byte of what was given is compared with some byte of the secret: the time tells the
  // length of what the asker sent, which it knows.
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  const size_t n = secret.empty() ? 1 : secret.size();
  for (size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % n];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  const volatile unsigned result = difference;
  return result == 0;
}

bool IsOwnHost(std::string_view authority, std::string_view host_name) {
  const std::string host = ToLowerAscii(HostOf(authority));
  const std::string own = ToLowerAscii(host_name);
  if (IsIpAddress(host) || host == "localhost") return true;
  if (own.empty() || host.empty()) return false;
  // The short and the full name of the machine mean the same.
  return host == own || host.starts_with(own + ".") || own.starts_with(host + ".");
}

AccessVerdict CheckOrigin(const ManagementRequest& request, std::string_view host_name, bool keyed) {
  // What is no browser may leave Host out (HTTP/1.0). Whether a probe gets through must not depend
  // on the name that it uses.
  const bool any = request.path == "/health" || request.path == "/ready" || (request.main_port && keyed);
  const std::string_view authority = request.head->authority;
  if (!any && !authority.empty() && !IsOwnHost(authority, host_name)) {
    return {403, "this Host is not served here (use an IP address, localhost or the machine's name)"};
  }
  const HeaderField* origin = FindHeader(request.head->headers, "Origin");
  if (origin != nullptr && !EqualsIgnoreCase(AuthorityOfOrigin(origin->value), authority)) {
    return {403, "requests from another site are refused (Origin)"};
  }
  const HeaderField* site = FindHeader(request.head->headers, "Sec-Fetch-Site");
  const bool other = site != nullptr && (EqualsIgnoreCase(site->value, "cross-site") ||
                                         EqualsIgnoreCase(site->value, "same-site"));
  if (other && request.path.starts_with("/admin")) {
    return {403, "requests from another site are refused (Sec-Fetch-Site)"};
  }
  return {};
}

AccessVerdict CheckKey(const ManagementRequest& request, const AdminConfig& config, bool change) {
  if (config.api_key.empty()) {
    if (!change || request.local_address) return {};
    return {403, "changes need admin.api_key here: this address can be reached from outside"};
  }
  const HeaderField* key = FindHeader(request.head->headers, "X-API-Key");
  if (key != nullptr && EqualsInConstantTime(key->value, config.api_key)) return {};
  return {401, key == nullptr ? "X-API-Key is missing" : "X-API-Key is wrong"};
}

}  // namespace ub
