// Backend names into socket addresses. A name that has several addresses gives several backends.
//
// getaddrinfo blocks: the master calls this at start and reload only, as the checking commands do;
// names that change while serving are the controller's work.
#ifndef UB_CORE_CONFIG_RESOLVE_H_
#define UB_CORE_CONFIG_RESOLVE_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/status.h"

namespace ub {

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

ResolveResult ResolveAllBackends(const Config& config);

// The same where one failure is enough: what the filler of the backend table calls.
Result<std::vector<ResolvedBackend>> ResolveBackends(const Config& config);

}  // namespace ub

#endif  // UB_CORE_CONFIG_RESOLVE_H_
