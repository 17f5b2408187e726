// What becomes of TLS: ssl_… (clients) and proxy_ssl_… (backends).
#include <fmt/format.h>

#include <algorithm>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;
using Import = NginxImport;

// Handlers are called with one argument at least.
struct Rule {
  std::string_view name;
  void (*take)(Import&, const Directive&) = nullptr;
  std::string_view remark = {};  // where there is no `take`; empty: nothing is lost
};

// nginx reads paths from the directory of its configuration on.
std::string PathOf(const Import& import, const std::string& path) {
  const size_t slash = import.options.file.rfind('/');
  if (path.empty() || path[0] == '/' || slash == std::string::npos) return path;
  return import.options.file.substr(0, slash + 1) + path;
}

void SetPath(Import& import, const Directive& d, std::string_view key) {
  if (d.arg(0).find('$') != std::string::npos) return import.Remark(d, "is not a fixed path");
  import.draft->Set(key, PathOf(import, d.arg(0)), d.at);
}

void ClientCa(Import& import, const Directive& d) { SetPath(import, d, "tls.client_ca"); }
void StaplingFile(Import& import, const Directive& d) {
  SetPath(import, d, "tls.ocsp_staple_file");
}
void BackendCa(Import& import, const Directive& d) { SetPath(import, d, "backend_tls.ca_file"); }
void BackendCertificate(Import& import, const Directive& d) {
  SetPath(import, d, "backend_tls.certificate");
}
void BackendKey(Import& import, const Directive& d) { SetPath(import, d, "backend_tls.key"); }

void Ciphers(Import& import, const Directive& d) {
  import.draft->Set("tls.ciphers", d.arg(0), d.at);
}

void Curves(Import& import, const Directive& d) {
  if (d.arg(0) != "auto") import.draft->Set("tls.curves", d.arg(0), d.at);
}

void Tickets(Import& import, const Directive& d) {
  import.draft->SetBool("tls.session_tickets", d.arg(0) != "off", d.at);
}

// Versions that are on: ours has an oldest one, and 1.3 is always on.
void Protocols(Import& import, const Directive& d) {
  const auto has = [&](std::string_view version) {
    return std::find(d.words.begin() + 1, d.words.end(), version) != d.words.end();
  };
  const bool old = has("SSLv2") || has("SSLv3") || has("TLSv1") || has("TLSv1.1");
  import.draft->Set("tls.min_version", old || has("TLSv1.2") ? "1.2" : "1.3", d.at);
  if (old) import.Remark(d, "TLS 1.2 is the oldest that is spoken");
}

void VerifyClient(Import& import, const Directive& d) {
  if (!import.verify_client.empty()) return;
  import.verify_client = d.arg(0);
  if (d.arg(0) == "off") return;
  import.draft->Set("tls.client_auth", d.arg(0) == "on" ? "required" : "optional", d.at);
  if (d.arg(0) == "optional_no_ca") {
    import.Remark(d, "certificates that no authority of tls.client_ca has signed are refused");
  }
}

void Stapling(Import& import, const Directive& d) {
  if (d.arg(0) != "on") return;
  import.Remark(d, "OCSP responses are not fetched, but read from tls.ocsp_staple_file");
}

void BackendVerify(Import& import, const Directive& d) {
  import.draft->SetBool("backend_tls.verify", d.arg(0) == "on", d.at);
  if (d.arg(0) == "on") import.asks_by_name = true;
}

void BackendServerName(Import& import, const Directive& d) {
  if (d.arg(0) == "on") import.asks_by_name = true;
}

void BackendName(Import& import, const Directive& d) {
  if (d.arg(0) == "$proxy_host" || !import.backend_name.empty()) return;
  if (d.arg(0).find('$') != std::string::npos) {
    return import.Remark(d, "the name is fixed (backend_tls.server_name), or each backend's host");
  }
  import.backend_name = d.arg(0);
  import.backend_name_at = d.at;
}

constexpr std::string_view kSuites = "is fixed to suites with forward secrecy";
constexpr std::string_view kRevoked = "has no counterpart: there are no revocation lists";
constexpr std::string_view kPassphrase = "keys with a passphrase are refused";

constexpr Rule kRules[] = {
    {"proxy_ssl_certificate", BackendCertificate},
    {"proxy_ssl_certificate_key", BackendKey},
    {"proxy_ssl_ciphers", nullptr, kSuites},
    {"proxy_ssl_crl", nullptr, kRevoked},
    {"proxy_ssl_name", BackendName},
    {"proxy_ssl_password_file", nullptr, kPassphrase},
    {"proxy_ssl_protocols", nullptr, "is fixed: backends are spoken to in TLS 1.2 or 1.3"},
    {"proxy_ssl_server_name", BackendServerName},
    {"proxy_ssl_session_reuse"},
    {"proxy_ssl_trusted_certificate", BackendCa},
    {"proxy_ssl_verify", BackendVerify},
    {"proxy_ssl_verify_depth"},
    {"ssl_buffer_size"},
    {"ssl_certificate"},  // by ImportNginxCertificates
    {"ssl_certificate_key"},
    {"ssl_ciphers", Ciphers},
    {"ssl_client_certificate", ClientCa},
    {"ssl_crl", nullptr, kRevoked},
    {"ssl_dhparam", nullptr, "is not needed: keys are exchanged over elliptic curves"},
    {"ssl_early_data", nullptr, "has no counterpart: 0-RTT data could be replayed"},
    {"ssl_ecdh_curve", Curves},
    {"ssl_password_file", nullptr, kPassphrase},
    {"ssl_prefer_server_ciphers"},
    {"ssl_protocols", Protocols},
    {"ssl_session_cache"},
    {"ssl_session_ticket_key", nullptr, "the keys are made and changed by the master"},
    {"ssl_session_tickets", Tickets},
    {"ssl_session_timeout"},
    {"ssl_stapling", Stapling},
    {"ssl_stapling_file", StaplingFile},
    {"ssl_stapling_verify"},
    {"ssl_trusted_certificate"},
    {"ssl_verify_client", VerifyClient},
    {"ssl_verify_depth"},
};

// "https://$host$request_uri" behind `return 301` or `rewrite ^`.
bool LeadsToHttps(const Directive& directive) {
  if (directive.name() != "return" && directive.name() != "rewrite") return false;
  return directive.size() > 1 && directive.arg(1).starts_with("https://");
}

}  // namespace

void ImportNginxCertificates(NginxImport* import, const NginxDirective& server,
                             const std::vector<const NginxDirective*>& outer) {
  std::vector<const Directive*> certificates, keys;
  const auto collect = [&](const Directive& directive) {
    if (directive.size() == 0) return;
    if (directive.name() == "ssl_certificate") certificates.push_back(&directive);
    if (directive.name() == "ssl_certificate_key") keys.push_back(&directive);
  };
  std::ranges::for_each(server.block, collect);
  if (certificates.empty()) {
    for (const Directive* directive : outer) collect(*directive);
  }
  for (size_t i = 0; i < certificates.size(); ++i) {
    const std::string key = i < keys.size() ? PathOf(*import, keys[i]->arg(0)) : "";
    import->draft->AddCertificate(PathOf(*import, certificates[i]->arg(0)), key,
                                  certificates[i]->at);
  }
}

void ImportNginxTls(NginxImport* import, const NginxDirective& directive) {
  const std::string name = NginxRuleName(directive);
  const auto* rule = std::ranges::find(kRules, std::string_view(name), &Rule::name);
  if (rule == std::end(kRules)) return import->Remark(directive, "has no counterpart");
  if (rule->take != nullptr) return rule->take(*import, directive);
  const bool off = directive.arg(0) == "off";
  if (!rule->remark.empty() && !off) import->Remark(directive, rule->remark);
}

void FinishNginxTls(NginxImport* import, const NginxDirective* pass, const std::string& upstream) {
  ImportDraft& draft = *import->draft;
  if (import->verify_client.empty() || import->verify_client == "off") {
    draft.Remove("tls.client_ca");
    draft.Remove("tls.client_auth");
  }
  if (pass == nullptr) return draft.Remove("backend_tls");
  draft.SetBool("backend_tls.enabled", true, pass->at);
  if (!draft.Has("backend_tls.verify")) {
    draft.SetBool("backend_tls.verify", false, pass->at);
    import->Remark(*pass,
                   "backends prove nothing, as in nginx without proxy_ssl_verify: "
                   "backend_tls.verify: true asks them to");
  }
  // Without a name of its own nginx takes the one in proxy_pass, ours the backend's.
  if (!import->backend_name.empty()) {
    draft.Set("backend_tls.server_name", import->backend_name, import->backend_name_at);
  } else if (import->asks_by_name && !upstream.empty()) {
    draft.Set("backend_tls.server_name", upstream, pass->at);
  }
}

bool NginxRedirectsToHttps(const NginxDirective& server) {
  bool redirects = false;
  for (const Directive& directive : server.block) {
    const std::string& name = directive.name();
    const bool all = name == "if" || (name == "location" && directive.words.back() == "/");
    if (name == "proxy_pass" || name == "grpc_pass") return false;
    redirects = redirects || LeadsToHttps(directive) ||
                (all && std::ranges::any_of(directive.block, LeadsToHttps));
  }
  return redirects;
}

}  // namespace ub
