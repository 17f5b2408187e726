#include "http/https_redirect.h"

#include <fmt/format.h>

namespace ub {
namespace {

constexpr std::string_view kAcmePath = "/.well-known/acme-challenge/";

// "example.org:80" → "example.org", "[::1]:80" → "[::1]".
std::string_view HostOf(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  const bool port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return port ? authority.substr(0, colon) : authority;
}

}  // namespace

HttpsRedirect::HttpsRedirect(const Config& config) {
  for (const ListenConfig& listen : config.listen) {
    if (!listen.tls || listen.is_unix) continue;
    port_ = listen.port;
    return;
  }
}

bool HttpsRedirect::Admit(const StageRequest& request, StageResult* result) {
  if (request.secure || request.head.target.starts_with(kAcmePath)) return true;
  const std::string_view host = HostOf(request.head.authority);
  if (host.empty()) {  // HTTP/1.0 may leave it out; there is nowhere to go to
    result->status = 400;
    return false;
  }
  const std::string port = port_ == 443 ? "" : fmt::format(":{}", port_);
  const std::string_view target = request.head.target.starts_with('/') ? request.head.target : "/";
  result->status = 308;
  result->fields = fmt::format("Location: https://{}{}{}\r\n", host, port, target);
  return false;
}

}  // namespace ub
