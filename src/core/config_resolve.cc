#include "core/config_resolve.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_set>

namespace ub {
namespace {

bool FromLiteral(const std::string& host, HostAddress* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out->address);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    out->length = sizeof(*v4);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out->address);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    out->length = sizeof(*v6);
    return true;
  }
  return false;
}

bool Before(const HostAddress& a, const HostAddress& b) {
  if (a.length != b.length) return a.length < b.length;
  return std::memcmp(&a.address, &b.address, a.length) < 0;
}

std::string SetPort(HostAddress* address, uint16_t port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->address.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address->address);
    v4->sin_port = htons(port);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return fmt::format("{}:{}", text, port);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address->address);
  v6->sin6_port = htons(port);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return fmt::format("[{}]:{}", text, port);
}

HostAddress UnixAddress(const std::string& path) {
  HostAddress out;
  auto* address = reinterpret_cast<sockaddr_un*>(&out.address);
  address->sun_family = AF_UNIX;
  // The binder has checked that the path fits.
  path.copy(address->sun_path, sizeof(address->sun_path) - 1);
  out.length = static_cast<socklen_t>(sizeof(*address));
  return out;
}

}  // namespace

bool HostAddress::operator==(const HostAddress& other) const {
  return length == other.length && std::memcmp(&address, &other.address, length) == 0;
}

void AddAddress(const void* address, socklen_t length, HostAnswer* answer) {
  HostAddress own;
  std::memcpy(&own.address, address, length);
  own.length = length;
  SetPort(&own, 0);
  auto& all = answer->addresses;
  const auto at = std::lower_bound(all.begin(), all.end(), own, Before);
  if (at == all.end() || !(*at == own)) all.insert(at, own);
}

HostAnswer LookUpHost(const std::string& host) {
  HostAnswer answer;
  HostAddress literal;
  if (FromLiteral(host, &literal)) {
    answer.addresses.push_back(literal);
    return answer;
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, [](addrinfo* info) {
    if (info != nullptr) freeaddrinfo(info);
  });
  if (error != 0) {
    const char* why = error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
    answer.error = fmt::format("cannot resolve \"{}\": {}", host, why);
    return answer;
  }
  for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
    // In order: name servers rotate their answers, and the same set must not look like another one.
    if (info->ai_family == AF_INET || info->ai_family == AF_INET6) AddAddress(info->ai_addr, info->ai_addrlen, &answer);
  }
  if (answer.addresses.empty())
    answer.error = fmt::format("cannot resolve \"{}\": it has no address", host);
  return answer;
}

std::vector<std::string> HostNames(const Config& config) {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  HostAddress unused;
  for (const BackendConfig& backend : config.backends) {
    if (backend.is_unix || FromLiteral(backend.host, &unused)) continue;
    if (seen.insert(backend.host).second) names.push_back(backend.host);
  }
  return names;
}

std::string AddressText(const HostAddress& address) {
  HostAddress copy = address;
  const std::string text = SetPort(&copy, 0);
  const bool bracketed = text.front() == '[';
  return text.substr(bracketed ? 1 : 0, text.rfind(':') - (bracketed ? 2 : 0));
}

ResolveResult AssembleBackends(const Config& config, const HostAnswers& answers) {
  ResolveResult result;
  std::unordered_set<std::string> seen;
  const auto add = [&](const HostAddress& address, std::string text, uint32_t index) {
    if (!seen.insert(text).second) return;
    result.backends.push_back({address.address, address.length, std::move(text), index});
  };
  result.backends.reserve(config.backends.size());
  for (uint32_t index = 0; index < config.backends.size(); ++index) {
    const BackendConfig& backend = config.backends[index];
    HostAddress literal;
    if (backend.is_unix) {
      add(UnixAddress(backend.host), backend.AddressText(), index);
    } else if (FromLiteral(backend.host, &literal)) {
      std::string text = SetPort(&literal, backend.port);
      add(literal, std::move(text), index);
    } else if (const auto found = answers.find(backend.host); found == answers.end()) {
      result.failures.push_back({index, fmt::format("\"{}\" is not looked up yet", backend.host)});
    } else if (!found->second.error.empty()) {
      result.failures.push_back({index, found->second.error});
    } else {
      for (HostAddress address : found->second.addresses) {
        std::string text = SetPort(&address, backend.port);
        add(address, std::move(text), index);
      }
    }
  }
  return result;
}

ResolveResult ResolveAllBackends(const Config& config) {
  HostAnswers answers;
  for (const std::string& host : HostNames(config)) answers.emplace(host, LookUpHost(host));
  return AssembleBackends(config, answers);
}

}  // namespace ub
