// A request to the management address, whole, and its answer: what management_server reads and
// writes and what the routes see. Controller process.
#ifndef UB_HTTP_MANAGEMENT_MESSAGE_H_
#define UB_HTTP_MANAGEMENT_MESSAGE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace ub {

// Valid within the call that it is given to.
struct ManagementRequest {
  const RequestHead* head = nullptr;
  std::string_view path;   // "/admin/reload"
  std::string_view query;  // "reset=true"
  std::string_view body;
  std::string_view peer;      // who asks: an IP address, or "unix:"
  bool local_address = false;  // it came to a loopback address or a unix socket
  bool main_port = false;      // … and to the proxy's port, not to the management address
  uint64_t exchange = 0;       // names it where the answer comes later
};

struct ManagementResponse {
  uint16_t status = 200;
  std::string_view content_type = "application/json";  // a literal
  std::string body;
  std::string fields = {};  // further header lines, each with its CRLF
};

}  // namespace ub

#endif  // UB_HTTP_MANAGEMENT_MESSAGE_H_
