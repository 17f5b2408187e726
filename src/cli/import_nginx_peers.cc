// Whose word on who the client is counts.
#include <fmt/format.h>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

// Whose PROXY heads to believe. nginx takes them by listener, ours by peer: from those at any one.
void TrustProxies(const NginxImport& import, bool by_proxy_protocol) {
  const SourcePosition& at = *import.accepts_at;
  const bool named = by_proxy_protocol && !import.real_ip_from.empty();
  if (import.plain_at && !named) {
    return import.draft->Remark(
        at,
        "proxy_protocol at some listeners only: left out, for here it goes by peer (set "
        "proxy_protocol.accept, and name in proxy_protocol.trust those that send it)");
  }
  import.draft->SetBool("proxy_protocol.accept", true, at);
  if (import.plain_at) {
    import.draft->Remark(at, "proxy_protocol: trusted peers must send it at every listener");
  }
  for (const NginxDirective* from : import.real_ip_from) {
    if (named) import.draft->Add("proxy_protocol.trust", from->arg(0), from->at);
  }
  if (named) return;
  for (const char* all : {"0.0.0.0/0", "::/0"}) import.draft->Add("proxy_protocol.trust", all, at);
  import.draft->Remark(at,
                       "proxy_protocol: every peer is believed, as in nginx: name those "
                       "that should be in proxy_protocol.trust");
}

}  // namespace

// Whom to believe: nginx names the peers once, and the header tells what for.
void FinishNginxPeers(NginxImport* given) {
  const NginxImport& import = *given;
  const std::string header = ToLowerAscii(import.real_ip_header);
  if (import.accepts_at) TrustProxies(import, header == "proxy_protocol");
  if (import.real_ip_from.empty() || header == "proxy_protocol") return;
  if (header != "x-forwarded-for") {
    import.draft->Remark(
        import.real_ip_at.source ? import.real_ip_at : import.real_ip_from.back()->at,
        fmt::format("real_ip_header {}: trusted peers are believed by X-Forwarded-For",
                    ImportText(import.real_ip_header)));
  }
  for (const NginxDirective* from : import.real_ip_from) {
    import.draft->Add("forwarded.trust", from->arg(0), from->at);
  }
}

}  // namespace ub
