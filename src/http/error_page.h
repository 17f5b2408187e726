// The answers that the proxy gives itself: a short page, HTML or JSON as the client prefers, carrying the request id.
// Nothing that a client sent is echoed but the id, which was checked. Worker process.
#ifndef UB_HTTP_ERROR_PAGE_H_
#define UB_HTTP_ERROR_PAGE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"
#include "http/message.h"

namespace ub {

// Standard reason phrase; "Error" for a code without one.
std::string_view ReasonPhrase(uint16_t status);

// The status code that a client is told for a failure (502, 503, 504, 400, 408, …).
uint16_t HttpStatusOf(const Status& status);

// True where the Accept field prefers JSON to HTML.
bool PrefersJson(const HeaderList& headers);

struct ErrorPage {
  uint16_t status = 500;
  std::string_view request_id = {};
  bool json = false;
  uint32_t retry_after_seconds = 0;  // 0: no Retry-After
  std::string_view fields = {};      // further header lines, each with its CRLF
  bool close = false;                // Connection: close
  bool head_only = false;            // answer to HEAD
};

// The whole response, head and body.
std::string RenderErrorPage(const ErrorPage& page);

}  // namespace ub

#endif  // UB_HTTP_ERROR_PAGE_H_
