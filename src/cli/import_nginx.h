// nginx's configuration as an import reads it: which upstream is carried over, and what each
// directive becomes. Used by import.cc.
//
//   import_nginx_tree       syntax, include
//   import_nginx            the pool, the servers and locations that use it
//   import_nginx_use        a proxy_pass
//   import_nginx_scope      which settings hold for all
//   import_nginx_upstream   upstream { server … }
//   import_nginx_listen     listen
//   import_nginx_tls        ssl_…, proxy_ssl_…
//   import_nginx_redirect   servers that only redirect to https
//   import_nginx_header     proxy_set_header, add_header
//   import_nginx_peers      set_real_ip_from, proxy_protocol
//   import_nginx_limits     limit_req, limit_conn and the zones that they name
//   import_nginx_rules      the table of all other directives
#ifndef UB_CLI_IMPORT_NGINX_H_
#define UB_CLI_IMPORT_NGINX_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_draft.h"
#include "cli/import_nginx_tree.h"
#include "cli/import_nginx_use.h"

namespace ub {

// Fills the draft. What was chosen, for the head: `upstream "app"`.
std::string ImportNginx(const ImportOptions& options, std::string_view text, ImportDraft* draft);

// What all `listen` of one address say together, for nginx opens it once.
struct NginxSocket {
  bool tls = false, http2 = false, proxy = false;
  bool taken = false;                              // it is served here too
  SourcePosition proxy_at{};                       // the first that takes PROXY heads
  const NginxDirective* default_server = nullptr;  // where one says that it is
};

// What the parts share while one file is imported.
struct NginxImport {
  const ImportOptions& options;
  ImportDraft* draft;
  std::map<std::string, const NginxDirective*> zones{};  // limit_req_zone, limit_conn_zone by name
  std::map<std::string, bool> json_formats{};            // log_format by name: whether it is JSON
  std::map<std::string, NginxSocket> sockets{};          // of all servers, by address
  size_t addresses = 0;                                  // in all `listen`
  std::vector<const NginxDirective*> real_ip_from{};     // set_real_ip_from
  std::string real_ip_header{"X-Real-IP"};
  SourcePosition real_ip_at{};
  std::optional<SourcePosition> accepts_at{};  // a listener that takes PROXY heads, and one that
  std::optional<SourcePosition> plain_at{};    // does not
  uint64_t workers = 0;                        // worker_processes; 0: auto or not given
  size_t servers = 0;                          // of the pool, backups included
  bool grpc = false;                           // it is grpc_pass that leads to the pool: by HTTP/2
  bool http2 = false;                          // `http2 on` for all servers
  bool asks_by_name = false;                   // proxy_ssl_server_name, proxy_ssl_verify
  std::string backend_name{};                  // proxy_ssl_name, where it is fixed
  SourcePosition backend_name_at{};

  // The directive's argument `i` as a number, a time or a size; false: a fault, which is told.
  bool Number(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  bool TimeMs(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  bool Size(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  // "gzip on" and what is to be said of it.
  void Remark(const NginxDirective& directive, std::string_view text) const;
};

// What a directive is known by: those of gRPC are the proxy's, "grpc_read_timeout" is
// "proxy_read_timeout".
std::string NginxRuleName(const NginxDirective& directive);

// The servers and settings of an upstream block.
void ImportNginxUpstream(NginxImport* import, const NginxDirective& upstream);

// Remembers a limit_req_zone, limit_conn_zone or log_format, which others may name before it
// stands.
void CollectNginxZone(NginxImport* import, const NginxDirective& directive);

// What any server says of the addresses that it listens at.
void CollectNginxListens(NginxImport* import, const NginxDirective& server);
// The listeners of a server that is carried over; `redirects`: those without TLS alone.
void ImportNginxListeners(NginxImport* import, const NginxDirective& server, bool redirects);
// Whether it has one with TLS, or one without.
bool NginxServes(const NginxImport& import, const NginxDirective& server, bool tls);
// Whether one of its addresses is served here, for another server.
bool NginxIsServed(const NginxImport& import, const NginxDirective& server);
// The server that says it is the default one at an address of this server; null: none says so.
const NginxDirective* NginxDefaultBeside(const NginxImport& import, const NginxDirective& server);
// The certificates of the servers that are carried over and speak TLS, and which of their clients
// must show one. What a server does not say is said in `outer`, the innermost block first.
void ImportNginxCertificates(NginxImport* import, const std::vector<const NginxDirective*>& servers,
                             const std::vector<std::vector<const NginxDirective*>>& outer);
// ssl_… and proxy_ssl_….
void ImportNginxTls(NginxImport* import, const NginxDirective& directive);
// What they came to: once all was read. `pass`: a proxy_pass to https, or null; `upstream`: the
// name of the pool where it has one.
void FinishNginxTls(NginxImport* import, const NginxDirective* pass, const std::string& upstream);
// A `return`, `rewrite` or `if` that sends requests to https.
bool NginxLeadsToHttps(const NginxDirective& directive);
// Of a server that sends every request to https and proxies none by itself: where it does. The
// target is the name that clients are sent to.
std::optional<NginxUse> NginxRedirect(const NginxDirective& server);
// Whether that name is the one that they asked for.
bool NginxRedirectsToItself(const NginxUse& redirect);
// proxy_set_header and add_header.
void ImportNginxHeader(NginxImport* import, const NginxDirective& directive);
// What set_real_ip_from, real_ip_header and the listeners came to: once all was read.
void FinishNginxPeers(NginxImport* import);
// limit_req and limit_conn.
void ImportNginxLimit(NginxImport* import, const NginxDirective& directive);

// What is neither upstream, server, location nor listen, in any block. Also told of what it does
// not know.
void ImportNginxDirective(NginxImport* import, const NginxDirective& directive);
// Whether it makes a value of ours, for the requests of its block, of such a directive, by
// NginxRuleName.
bool NginxCarriesOver(std::string_view name);
bool NginxTlsCarriesOver(std::string_view name);

}  // namespace ub

#endif  // UB_CLI_IMPORT_NGINX_H_
