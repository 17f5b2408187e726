// Who may ask the management address for what. Controller process; pure functions.
//
// A page on another site can make a browser send requests here, also under a name of its own that
// points to 127.0.0.1. So requests whose Host is a name that is not this machine's, and requests
// that say that they come from another site, are refused.
#ifndef UB_HTTP_MANAGEMENT_ACCESS_H_
#define UB_HTTP_MANAGEMENT_ACCESS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "http/management_message.h"

namespace ub {

// Takes as long for a wrong text as for the right one, whatever the place where they differ.
bool EqualsInConstantTime(std::string_view given, std::string_view secret);

// The names of a machine whose host name is `host_name`, in lower case: that one, its first part, what stands beside it in
// `hosts` (/etc/hosts), and itself in the domains that `resolv` (/etc/resolv.conf) searches. Nobody else's word counts: a name
// that only begins like it may be anybody's.
std::vector<std::string> OwnNames(std::string_view host_name, std::string_view hosts, std::string_view resolv);

// Whether Host names an IP address, localhost or this machine (`own`: OwnNames).
bool IsOwnHost(std::string_view authority, std::span<const std::string> own);

// Why the request is refused: a status and a reason, a literal. Status 0: it is not.
struct AccessVerdict {
  uint16_t status = 0;
  const char* reason = "";
};
// For every path. Where a key guards the main port, any Host may be used there: it is the site's.
AccessVerdict CheckOrigin(const ManagementRequest& request, std::span<const std::string> own, bool keyed);
// For /admin/*, on top of that. `change`: the request changes something.
AccessVerdict CheckKey(const ManagementRequest& request, const AdminConfig& config, bool change);

}  // namespace ub

#endif  // UB_HTTP_MANAGEMENT_ACCESS_H_
