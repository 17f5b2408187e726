// What becomes of TLS: ssl_… (clients) and proxy_ssl_… (backends).
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;
using Import = NginxImport;
using Outer = std::vector<std::vector<const Directive*>>;  // the innermost block first

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

void StaplingFile(Import& import, const Directive& d) {
  SetPath(import, d, "tls.ocsp_staple_file");
}
void BackendCa(Import& import, const Directive& d) { SetPath(import, d, "backend_tls.ca_file"); }
void BackendCertificate(Import& import, const Directive& d) {
  SetPath(import, d, "backend_tls.certificate");
}
void BackendKey(Import& import, const Directive& d) { SetPath(import, d, "backend_tls.key"); }

void Ciphers(Import& import, const Directive& d) {
  if (d.arg(0).starts_with("PROFILE=")) {
    return import.Remark(d, "the ciphers are our own: profiles of the system are not known");
  }
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
  if (!has("TLSv1.3")) import.Remark(d, "TLS 1.3 is spoken too");
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
    {"ssl_client_certificate"},
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
    {"ssl_verify_client"},
    {"ssl_verify_depth"},
};

// What a server, or else the block around it, says under one name.
std::vector<const Directive*> Find(const Directive& server, const Outer& outer,
                                   std::string_view name) {
  std::vector<const Directive*> found;
  for (const Directive& directive : server.block) {
    if (directive.name() == name && directive.size() > 0) found.push_back(&directive);
  }
  for (auto level = outer.begin(); found.empty() && level != outer.end(); ++level) {
    std::ranges::copy_if(*level, std::back_inserter(found), [&](const Directive* directive) {
      return directive->name() == name && directive->size() > 0;
    });
  }
  return found;
}

// The names of TLS alone, so that what else stands in the file is not walked over for each server.
Outer Certificates(const Outer& outer) {
  Outer found(outer.size());
  for (size_t i = 0; i < outer.size(); ++i) {
    std::ranges::copy_if(outer[i], std::back_inserter(found[i]), [](const Directive* directive) {
      const std::string& name = directive->name();
      return name.starts_with("ssl_certificate") || name == "ssl_verify_client" ||
             name == "ssl_client_certificate";
    });
  }
  return found;
}

void ServerCertificates(Import* import, const Directive& server, const Outer& outer) {
  const auto certificates = Find(server, outer, "ssl_certificate");
  const auto keys = Find(server, outer, "ssl_certificate_key");
  for (size_t i = 0; i < certificates.size(); ++i) {
    const std::string key = i < keys.size() ? PathOf(*import, keys[i]->arg(0)) : "";
    import->draft->AddCertificate(PathOf(*import, certificates[i]->arg(0)), key,
                                  certificates[i]->at);
  }
}

// How much is asked of clients: the more, the stricter.
size_t Strictness(const std::vector<const Directive*>& verify) {
  constexpr std::string_view kWords[] = {"off", "optional_no_ca", "optional", "on"};
  if (verify.empty()) return 0;
  const auto* word = std::ranges::find(kWords, std::string_view(verify[0]->arg(0)));
  return word == std::end(kWords) ? 0 : static_cast<size_t>(word - kWords);
}

// nginx asks for certificates server by server, ours at every listener: as the strictest does.
void VerifyClients(Import* import, const std::vector<const Directive*>& servers,
                   const Outer& outer) {
  constexpr std::string_view kVerify = "ssl_verify_client";
  const Directive* strictest = nullptr;
  for (const Directive* server : servers) {
    const size_t before = strictest == nullptr ? 0 : Strictness(Find(*strictest, outer, kVerify));
    if (Strictness(Find(*server, outer, kVerify)) > before) strictest = server;
  }
  if (strictest == nullptr) return;
  const Directive* verify = Find(*strictest, outer, kVerify)[0];
  import->draft->Set("tls.client_auth", verify->arg(0) == "on" ? "required" : "optional",
                     verify->at);
  if (verify->arg(0) == "optional_no_ca") {
    import->Remark(*verify,
                   "certificates that no authority of tls.client_ca has signed are refused");
  }
  for (const Directive* ca : Find(*strictest, outer, "ssl_client_certificate")) {
    SetPath(*import, *ca, "tls.client_ca");
  }
  for (const Directive* server : servers) {
    const auto own = Find(*server, outer, kVerify);
    if (Strictness(own) != Strictness({verify})) {
      import->draft->Remark(
          own.empty() ? server->at : own[0]->at,
          fmt::format("\"{}\" of {}:{} holds for the clients of every server, "
                      "of this one too",
                      ImportText(verify->Text()), *verify->at.source, verify->at.line));
    }
    if (Strictness(own) == 0) continue;
    for (const Directive* ca : Find(*server, outer, "ssl_client_certificate")) {
      SetPath(*import, *ca, "tls.client_ca");
    }
  }
}

// The server that is the default one somewhere, where one says so, before the others.
std::vector<const Directive*> DefaultFirst(std::vector<const Directive*> servers) {
  std::stable_partition(servers.begin(), servers.end(), [](const Directive* server) {
    return std::ranges::any_of(server->block, [](const Directive& directive) {
      return directive.name() == "listen" &&
             std::ranges::find(directive.words, "default_server") != directive.words.end();
    });
  });
  return servers;
}

}  // namespace

// The first certificate is for clients that ask for no known name.
void ImportNginxCertificates(NginxImport* import, const std::vector<const Directive*>& servers,
                             const Outer& all_outer) {
  const Outer outer = Certificates(all_outer);
  for (const Directive* server : DefaultFirst(servers)) ServerCertificates(import, *server, outer);
  VerifyClients(import, servers, outer);
}

bool NginxTlsCarriesOver(std::string_view name) {
  const auto* rule = std::ranges::find(kRules, name, &Rule::name);
  return rule != std::end(kRules) && rule->take != nullptr && rule->take != Stapling;
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

}  // namespace ub
