// HAProxy's configuration as an import reads it: which backend is carried over, and what each line
// becomes. Used by import.cc.
//
//   import_haproxy_tree      syntax, sections
//   import_haproxy_proxy     what a section comes to with what it inherits
//   import_haproxy           the pool, the frontends that lead to it
//   import_haproxy_server    server, default-server
//   import_haproxy_bind      bind, redirects to https
//   import_haproxy_tls       TLS of `bind` and of `server`
//   import_haproxy_checks    health checks
//   import_haproxy_limits    rate limits, which HAProxy makes of tables and rules
//   import_haproxy_balance   balance, stick, retries
//   import_haproxy_times     time-outs, the queue
//   import_haproxy_rules     the table of all keywords
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
#include "cli/import_haproxy_proxy.h"
#include "cli/import_haproxy_tree.h"

namespace ub {

// Fills the draft. What was chosen, for the head: `the backend "app"`.
std::string ImportHaproxy(const ImportOptions& options, std::string_view text, ImportDraft* draft);

// A value and its place.
struct HaproxyWord {
  std::string value{};
  SourcePosition at{};
};
// Settings of a server by their names: its own, and those of default-server before it.
using HaproxyWords = std::map<std::string, HaproxyWord, std::less<>>;

struct HaproxyBind {
  HaproxyLine line;
  const HaproxyProxy* proxy;
  bool tls = false, accept_proxy = false, h2 = false, only_ipv6 = false;
  int client_auth = 0;  // 1: optional, 2: required
};

// What the parts share while one file is imported.
struct HaproxyImport {
  const ImportOptions& options;
  ImportDraft* draft;
  const std::vector<HaproxySection>& sections;
  std::vector<HaproxyProxy> pool{};         // one; before it was chosen: none
  std::vector<HaproxyProxy> fronts{};       // that lead to the pool
  std::vector<HaproxyProxy> redirecting{};  // fronts that lead nowhere, and redirect to https
  const HaproxyProxy* current = nullptr;    // whose line is read; null: the global section's
  HaproxyTally said_of_fronts{}, said_of_servers{}, said_of_tls{};
  const HaproxyLine* rate_rule = nullptr;  // that the rate limit was made of
  std::vector<HaproxyBind> binds{};
  uint64_t port = 0;  // of the first bind: for servers that give none
  HaproxyWords default_server{};
  std::vector<std::pair<ImportedBackend, SourcePosition>> servers{};
  bool checked = false, unchecked = false;  // servers with `check`, and without
  bool limited = false;                     // servers with maxconn, whose requests HAProxy queues
  SourcePosition queue_at{};
  std::string crt_base{}, ca_base{};  // of the global section
  bool verify_servers = true;         // ssl-server-verify
  bool log_global = false;            // a frontend logs where the global section says
  std::vector<SourcePosition> tls_servers{}, clear_servers{};  // servers with `ssl`, and without
  std::vector<SourcePosition> proven{}, unproven{};            // of tls_servers, by `verify`

  // False: it is none, which was told.
  bool Number(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  bool TimeMs(const HaproxyLine& line, std::string_view text, uint64_t* out) const;
  // The sections that listeners are carried over from.
  std::set<const HaproxySection*> CarriedFronts() const;
  // "gzip on" and what is to be said of it.
  void Remark(const HaproxyLine& line, std::string_view text) const;
  bool ReadsFront() const { return current != nullptr && (current->sides & kHaproxyFront) != 0; }
};

void ImportHaproxyServer(HaproxyImport* import, const HaproxyLine& line);
void ImportHaproxyDefaultServer(HaproxyImport* import, const HaproxyLine& line);
// Once all servers were read.
void FinishHaproxyServers(HaproxyImport* import);
// TLS of one server.
void ImportHaproxyServerTls(HaproxyImport* import, const HaproxyLine& line,
                            const HaproxyWords& words);

// `bind`, or an address in the head of a section: remembers it.
void ImportHaproxyBind(HaproxyImport* import, const HaproxyLine& line);
// Once all frontends that lead to the pool were read: the listeners, the frontends that only
// redirect to https, and what listeners share here.
void FinishHaproxyBinds(HaproxyImport* import);
// Word `*i` of a `bind` or of ssl-default-bind-options; moves on to its value where it has one.
// False: it is not about TLS. `import` null: looks only.
bool ImportHaproxyBindTls(HaproxyImport* import, const HaproxyLine& line, size_t* i);
// Of the global section: crt-base, ca-base, ssl-server-verify, which others build on.
void CollectHaproxyTls(HaproxyImport* import, const HaproxyLine& line);
// Once all servers were read.
void FinishHaproxyTls(HaproxyImport* import);

// What the pool's lines on checks come to.
void FinishHaproxyChecks(HaproxyImport* import);
// Rules that deny. False: this one limits neither requests nor connections of a client.
bool ImportHaproxyLimit(HaproxyImport* import, const HaproxyLine& rule);

void ImportHaproxyBalance(HaproxyImport& import, const HaproxyLine& line);
void ImportHaproxyStick(HaproxyImport& import, const HaproxyLine& line);
void ImportHaproxyRetries(HaproxyImport& import, const HaproxyLine& line);
void ImportHaproxyRetryOn(HaproxyImport& import, const HaproxyLine& line);

void ImportHaproxyTime(HaproxyImport& import, const HaproxyLine& line);
// What more than one line tells: clients between two requests, the queue.
void FinishHaproxyTimes(HaproxyImport* import);

// Any line, in any section. Also told of what it does not know.
void ImportHaproxyLine(HaproxyImport* import, const HaproxyLine& line);

}  // namespace ub

#endif  // UB_CLI_IMPORT_HAPROXY_H_
