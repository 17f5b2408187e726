// HAProxy's configuration as an import reads it: which backend is carried over, and what each line
// becomes. Used by import.cc.
//
//   import_haproxy_tree     syntax, sections
//   import_haproxy          the pool, the frontends that lead to it
//   import_haproxy_server   server, default-server, bind
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

  bool Number(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  bool TimeMs(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  // "gzip on" and what is to be said of it.
  void Remark(const HaproxyLine& line, std::string_view text) const;
};

void ImportHaproxyServer(HaproxyImport* import, const HaproxyLine& line);
// `bind`, or an address in the head of a section.
void ImportHaproxyBind(HaproxyImport* import, const HaproxyLine& line);

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
