// HAProxy's configuration as an import reads it: which backend is carried over, and what each line
// becomes. Used by import.cc.
//
//   import_haproxy_tree     syntax, sections
//   import_haproxy          the pool, the frontends that lead to it
//   import_haproxy_server   server, default-server, bind
//   import_haproxy_tls      TLS of `bind` and of `server`, redirects to https
//   import_haproxy_checks   health checks; rate limits, which HAProxy makes of tables and rules
//   import_haproxy_rules    the table of all other keywords
#ifndef UB_CLI_IMPORT_HAPROXY_H_
#define UB_CLI_IMPORT_HAPROXY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "cli/import_draft.h"
#include "cli/import_haproxy_tree.h"

namespace ub {

// Fills the draft. What was chosen, for the head: `the backend "app"`.
std::string ImportHaproxy(const ImportOptions& options, std::string_view text, ImportDraft* draft);

// An HTTP check as it is put together from several lines.
struct HaproxyCheck {
  bool http = false;
  SourcePosition at{};
  std::string method{"OPTIONS"}, path{"/"};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string status{"200-399"}, body{};
};

// What the parts share while one file is imported.
struct HaproxyImport {
  const ImportOptions& options;
  ImportDraft* draft;
  std::vector<std::string> default_server{};  // words of default-server, those of the pool first
  std::set<std::string>
      once{};  // options of the inner section, which an outer one cannot give again
  std::map<std::string, std::vector<std::string>> acls{};  // of the frontends and the pool
  uint64_t rate_period_ms = 0;                             // of a stick table's http_req_rate(…)
  SourcePosition rate_at{};
  uint64_t port = 0;                        // of the first bind: for servers that give none
  bool checked = false, unchecked = false;  // servers with `check`, and without
  bool limited = false;                     // servers with maxconn, whose requests HAProxy queues
  bool weighted = false;
  SourcePosition queue_at{};
  HaproxyCheck check{};
  std::string crt_base{}, ca_base{};  // of the global section
  bool verify_servers = true;         // ssl-server-verify
  bool tls_servers = false, clear_servers = false;  // servers with `ssl`, and without
  SourcePosition clear_at{};

  bool Number(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  bool TimeMs(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  // "gzip on" and what is to be said of it.
  void Remark(const HaproxyLine& line, std::string_view text) const;
};

void ImportHaproxyServer(HaproxyImport* import, const HaproxyLine& line);
// `bind`, or an address in the head of a section.
void ImportHaproxyBind(HaproxyImport* import, const HaproxyLine& line);

// TLS of one server, as the words of its line and of default-server come to it.
struct HaproxyServerTls {
  bool on = false, said = false;  // said: `ssl` or `no-ssl` was there
  std::string verify{}, ca_file{}, certificate{}, name{}, sni{};
};

// The word `name` of a `server` and the one behind it. How many of the two were meant: 0: it is not
// about TLS. `first`: no earlier word says the same.
size_t ImportHaproxyServerTls(const HaproxyImport& import, const HaproxyLine& line, bool first,
                              std::string_view name, std::string_view value, HaproxyServerTls* tls);
// A server was read.
void FinishHaproxyServerTls(HaproxyImport* import, const HaproxyLine& line,
                            const HaproxyServerTls& tls);
// Word `*i` of a `bind` or of ssl-default-bind-options; moves on to its value where it has one.
// False: it is not about TLS.
bool ImportHaproxyBindTls(HaproxyImport* import, const HaproxyLine& line, size_t* i);
// "redirect scheme https …", with or without "http-request" before it. False: not to https, or
// under a condition of its own.
bool ImportHaproxyRedirect(HaproxyImport* import, const HaproxyLine& line);
// Of the global section: crt-base, ca-base, ssl-server-verify, which others build on.
void CollectHaproxyTls(HaproxyImport* import, const HaproxyLine& line);
// Once all servers were read.
void FinishHaproxyTls(HaproxyImport* import);

// `option httpchk`, `http-check …`; and what they came to, once all lines were read.
void ImportHaproxyCheck(HaproxyImport* import, const HaproxyLine& line);
void FinishHaproxyChecks(HaproxyImport* import);
// Remembers an acl, or the period of a table's request rate.
void CollectHaproxyRate(HaproxyImport* import, const HaproxyLine& line);
// Rules that deny. False: this one limits neither requests nor connections of a client.
bool ImportHaproxyLimit(HaproxyImport* import, const HaproxyLine& rule);

// Any other line, in any section. Also told of what it does not know.
void ImportHaproxyLine(HaproxyImport* import, const HaproxyLine& line);

}  // namespace ub

#endif  // UB_CLI_IMPORT_HAPROXY_H_
