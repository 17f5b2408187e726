// nginx's configuration as an import reads it: which upstream is carried over, and what each
// directive becomes. Used by import.cc.
//
//   import_nginx_tree       syntax, include
//   import_nginx            the pool, the servers and locations that use it
//   import_nginx_upstream   upstream { server … }
//   import_nginx_listen     listen
//   import_nginx_tls        ssl_…, proxy_ssl_…, servers that only redirect to https
//   import_nginx_limits     limit_req, limit_conn and the zones that they name
//   import_nginx_rules      the table of all other directives
#ifndef UB_CLI_IMPORT_NGINX_H_
#define UB_CLI_IMPORT_NGINX_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_draft.h"
#include "cli/import_nginx_tree.h"

namespace ub {

// Fills the draft. What was chosen, for the head: `upstream "app"`.
std::string ImportNginx(const ImportOptions& options, std::string_view text, ImportDraft* draft);

// What the parts share while one file is imported.
struct NginxImport {
  const ImportOptions& options;
  ImportDraft* draft;
  std::map<std::string, const NginxDirective*> zones{};  // limit_req_zone, limit_conn_zone by name
  std::map<std::string, bool> json_formats{};            // log_format by name: whether it is JSON
  std::vector<std::string> real_ip_from{};               // set_real_ip_from
  std::string real_ip_header{"X-Real-IP"};
  SourcePosition real_ip_at{};
  bool accepts_proxy = false;  // a listener that takes PROXY heads
  SourcePosition accepts_at{};
  uint64_t workers = 0;     // worker_processes; 0: auto or not given
  bool host_given = false;  // proxy_set_header Host
  size_t servers = 0;       // of the pool, backups included
  bool grpc = false;        // it is grpc_pass that leads to the pool: by HTTP/2
  std::string verify_client{};     // ssl_verify_client: the innermost
  bool asks_by_name = false;       // proxy_ssl_server_name, proxy_ssl_verify
  std::string backend_name{};      // proxy_ssl_name, where it is fixed
  SourcePosition backend_name_at{};

  // The directive's argument `i` as a number, a time or a size; false: a fault, which is told.
  bool Number(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  bool TimeMs(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  bool Size(const NginxDirective& directive, std::string_view text, uint64_t* out) const;
  // "gzip on" and what is to be said of it.
  void Remark(const NginxDirective& directive, std::string_view text) const;
};

// What a directive is known by: those of gRPC are the proxy's, "grpc_read_timeout" is "proxy_read_timeout".
std::string NginxRuleName(const NginxDirective& directive);

// The servers and settings of an upstream block.
void ImportNginxUpstream(NginxImport* import, const NginxDirective& upstream);

// Remembers a limit_req_zone, limit_conn_zone or log_format, which others may name before it
// stands.
void CollectNginxZone(NginxImport* import, const NginxDirective& directive);

// Of any server: which addresses take IPv4 and IPv6. One `listen` says it for all at that address.
void CollectNginxListens(NginxImport* import, const NginxDirective& server);
// A `listen`; `tls`: the server says `ssl on`.
void ImportNginxListen(NginxImport* import, const NginxDirective& listen, bool tls);
// The certificates of a server, which are those of `outer` where it has none of its own.
void ImportNginxCertificates(NginxImport* import, const NginxDirective& server,
                             const std::vector<const NginxDirective*>& outer);
// ssl_… and proxy_ssl_….
void ImportNginxTls(NginxImport* import, const NginxDirective& directive);
// What they came to: once all was read. `pass`: a proxy_pass to https, or null; `upstream`: the
// name of the pool where it has one.
void FinishNginxTls(NginxImport* import, const NginxDirective* pass, const std::string& upstream);
// True for a server that sends every request to https, and does nothing else with any.
bool NginxRedirectsToHttps(const NginxDirective& server);
// limit_req and limit_conn.
void ImportNginxLimit(NginxImport* import, const NginxDirective& directive);

// What is neither upstream, server, location nor listen, in any block. Also told of what it does
// not know.
void ImportNginxDirective(NginxImport* import, const NginxDirective& directive);

}  // namespace ub

#endif  // UB_CLI_IMPORT_NGINX_H_
