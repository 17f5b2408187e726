// Fields that nginx is told to send, to backends and to clients.
#include <algorithm>
#include <string_view>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;
using Import = NginxImport;

// Headers that are always sent, and what nginx is usually told to send in them.
struct SentHeader {
  std::string_view name;
  std::vector<std::string_view> values;  // empty: whatever is told
};

const SentHeader kSentHeaders[] = {
    {"host", {"$host", "$http_host", "$host:$server_port"}},
    {"x-real-ip", {"$remote_addr", "$proxy_protocol_addr"}},
    {"x-forwarded-for", {"$proxy_add_x_forwarded_for", "$remote_addr", "$proxy_protocol_addr"}},
    {"x-forwarded-proto", {"$scheme"}},
    {"x-forwarded-host", {"$host", "$http_host", "$host:$server_port"}},
    {"x-request-id", {"$request_id", "$http_x_request_id"}},
    {"connection", {}},
    {"upgrade", {}},
};

void SetHeader(Import& import, const Directive& d) {
  const std::string name = ToLowerAscii(d.arg(0));
  const std::string value = d.size() > 1 ? d.arg(1) : "";
  const auto* sent = std::ranges::find(kSentHeaders, std::string_view(name), &SentHeader::name);
  if (sent == std::end(kSentHeaders)) return import.Remark(d, "headers of one's own are not sent");
  if (sent->values.empty() || std::ranges::find(sent->values, value) != sent->values.end()) return;
  import.Remark(d, name == "host" ? "the client's Host is sent"
                                  : "it is always what this instance knows of the client");
}

void AddHeader(Import& import, const Directive& d) {
  if (ToLowerAscii(d.arg(0)) != "strict-transport-security") {
    return import.Remark(d, "responses get no headers of one's own");
  }
  import.draft->SetHsts(d.size() > 1 ? d.arg(1) : "", d.at);
}

}  // namespace

void ImportNginxHeader(NginxImport* import, const NginxDirective& directive) {
  if (directive.name() == "add_header") {
    AddHeader(*import, directive);
  } else {
    SetHeader(*import, directive);
  }
}

}  // namespace ub
