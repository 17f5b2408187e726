// Asks the running instance through its management address: one request, blocking, for the commands
// `status` and `validate --diff`. Lives in the short-lived process of that command.
#ifndef UB_CLI_MANAGEMENT_CLIENT_H_
#define UB_CLI_MANAGEMENT_CLIENT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/config.h"
#include "core/status.h"

namespace ub {

struct ManagementReply {
  uint16_t status = 0;
  std::string body;
};

// Where `config` says that the management address is, with its key. Waits `timeout_ms` at most.
// Errors: kNotFound (the address is off), kRefused (nobody answers there), kTimeout, kProtocol.
Result<ManagementReply> AskManagement(const AdminConfig& config, std::string_view target,
                                      uint32_t timeout_ms = 5000);

// Where a client on this machine reaches a listener: at the loopback address for a wildcard, with
// `text` to it.
ListenConfig ReachedAt(ListenConfig at);

// "127.0.0.1:8081", "unix:/path": where a client reaches it, as ReachedAt says. Empty: it is off.
std::string ManagementPlace(const AdminConfig& config);

}  // namespace ub

#endif  // UB_CLI_MANAGEMENT_CLIENT_H_
