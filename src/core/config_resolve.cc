#include "core/config_resolve.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace ub {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

struct Answer {
  std::vector<Address> addresses;
  std::string error;
};

bool FromLiteral(const std::string& host, Address* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out->storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    out->length = sizeof(*v4);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    out->length = sizeof(*v6);
    return true;
  }
  return false;
}

Answer LookUp(const std::string& host) {
  Answer answer;
  Address literal;
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
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    Address address;
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    address.length = info->ai_addrlen;
    answer.addresses.push_back(address);
  }
  if (answer.addresses.empty())
    answer.error = fmt::format("cannot resolve \"{}\": it has no address", host);
  return answer;
}

std::string SetPort(Address* address, uint16_t port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->storage.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address->storage);
    v4->sin_port = htons(port);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return fmt::format("{}:{}", text, port);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address->storage);
  v6->sin6_port = htons(port);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return fmt::format("[{}]:{}", text, port);
}

Address UnixAddress(const std::string& path) {
  Address out;
  auto* address = reinterpret_cast<sockaddr_un*>(&out.storage);
  address->sun_family = AF_UNIX;
  // The binder has checked that the path fits.
  path.copy(address->sun_path, sizeof(address->sun_path) - 1);
  out.length = static_cast<socklen_t>(sizeof(*address));
  return out;
}

}  // namespace

ResolveResult ResolveAllBackends(const Config& config) {
  ResolveResult result;
  std::unordered_map<std::string, Answer> answers;  // a name is asked for once
  std::unordered_set<std::string> seen;
  result.backends.reserve(config.backends.size());
  for (uint32_t index = 0; index < config.backends.size(); ++index) {
    const BackendConfig& backend = config.backends[index];
    if (backend.is_unix) {
      const Address address = UnixAddress(backend.host);
      std::string text = backend.AddressText();
      if (seen.insert(text).second) {
        result.backends.push_back({address.storage, address.length, std::move(text), index});
      }
      continue;
    }
    auto [it, is_new] = answers.try_emplace(backend.host);
    if (is_new) it->second = LookUp(backend.host);
    if (!it->second.error.empty()) result.failures.push_back({index, it->second.error});
    for (Address address : it->second.addresses) {
      std::string text = SetPort(&address, backend.port);
      if (seen.insert(text).second) {
        result.backends.push_back({address.storage, address.length, std::move(text), index});
      }
    }
  }
  return result;
}

Result<std::vector<ResolvedBackend>> ResolveBackends(const Config& config) {
  ResolveResult result = ResolveAllBackends(config);
  if (!result.failures.empty()) {
    return Fail(
        Status(StatusCode::kNotFound, StatusSource::kConfig, result.failures[0].text, true));
  }
  return std::move(result.backends);
}

}  // namespace ub
