// Backend names into socket addresses. A name that has several addresses gives several backends.
//
// getaddrinfo blocks: the master looks names up at start and reload, as the checking commands do; in the controller a
// thread does (upstream/resolver.h), and what it found is put together here.
#ifndef UB_CORE_CONFIG_RESOLVE_H_
#define UB_CORE_CONFIG_RESOLVE_H_

#include <sys/socket.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"

namespace ub {

struct HostAddress {
  sockaddr_storage address{};  // port 0
  socklen_t length = 0;
  bool operator==(const HostAddress& other) const;
};

// What a name stands for: addresses in a fixed order, none twice; or why there are none.
struct HostAnswer {
  std::vector<HostAddress> addresses;
  std::string error;  // "cannot resolve \"app1\": Name or service not known"
  bool operator==(const HostAnswer&) const = default;
};
using HostAnswers = std::map<std::string, HostAnswer>;

// Puts an address, whatever its port, where LookUpHost would have it; one that is there stays.
void AddAddress(const void* address, socklen_t length, HostAnswer* answer);
// Blocks. An address literal is its own answer.
HostAnswer LookUpHost(const std::string& host);
// The hosts of `config` that have to be looked up, each once.
std::vector<std::string> HostNames(const Config& config);
// "10.0.0.1", "::1".
std::string AddressText(const HostAddress& address);

struct ResolvedBackend {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string text;    // "10.0.0.1:80", "[::1]:80", "unix:/path"
  uint32_t index = 0;  // into Config::backends: weight, name and limits stand there
};

struct ResolveFailure {
  uint32_t index = 0;  // into Config::backends
  std::string text;    // "cannot resolve \"app1\": Name or service not known"
};

struct ResolveResult {
  std::vector<ResolvedBackend> backends;  // in the order of the configuration, no address twice
  std::vector<ResolveFailure> failures;
};

// Puts backends together from answers that are there already; a name without one is a failure.
ResolveResult AssembleBackends(const Config& config, const HostAnswers& answers);
// Looks up every name (blocking), then assembles.
ResolveResult ResolveAllBackends(const Config& config);

}  // namespace ub

#endif  // UB_CORE_CONFIG_RESOLVE_H_
