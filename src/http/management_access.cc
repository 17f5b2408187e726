#include "http/management_access.h"

#include <algorithm>

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

// Calls `take` with the words of each line, what stands behind "#" left out.
template <typename Take>
void ForEachLine(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, std::min(end, text.find('#')));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::vector<std::string> words;
    while (!line.empty()) {
      const size_t size = std::min(line.find_first_of(" \t\r"), line.size());
      if (size > 0) words.push_back(ToLowerAscii(line.substr(0, size)));
      line.remove_prefix(std::min(size + 1, line.size()));
    }
    if (!words.empty()) take(words);
  }
}

}  // namespace

std::vector<std::string> OwnNames(std::string_view host_name, std::string_view hosts, std::string_view resolv) {
  const std::string own = ToLowerAscii(host_name);
  if (own.empty()) return {};
  std::vector<std::string> names = {own};
  const std::string first = own.substr(0, own.find('.'));
  if (first != own) names.push_back(first);
  ForEachLine(hosts, [&](const std::vector<std::string>& words) {
    if (std::find(words.begin() + 1, words.end(), own) == words.end()) return;
    names.insert(names.end(), words.begin() + 1, words.end());
  });
  ForEachLine(resolv, [&](const std::vector<std::string>& words) {
    if (first != own || (words[0] != "search" && words[0] != "domain")) return;
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i] != ".") names.push_back(own + "." + words[i]);
    }
  });
  return names;
}

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

bool IsOwnHost(std::string_view authority, std::span<const std::string> own) {
  const std::string host = ToLowerAscii(HostOf(authority));
  return IsIpAddress(host) || host == "localhost" || std::find(own.begin(), own.end(), host) != own.end();
}

AccessVerdict CheckOrigin(const ManagementRequest& request, std::span<const std::string> own, bool keyed) {
  // What is no browser may leave Host out (HTTP/1.0). Whether a probe gets through must not depend
  // on the name that it uses.
  const bool any = request.path == "/health" || request.path == "/ready" || (request.main_port && keyed);
  const std::string_view authority = request.head->authority;
  if (!any && !authority.empty() && !IsOwnHost(authority, own)) {
    return {403, "this Host is not served here (use an IP address, localhost or a name of the machine)"};
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
