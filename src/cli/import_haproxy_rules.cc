// The table of HAProxy's keywords: a row tells which side of a proxy it speaks of, and either what
// a line becomes, or what to say of it, or that nothing is lost.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "cli/import_haproxy.h"
#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Import = HaproxyImport;
using Line = HaproxyLine;

// The sides of a proxy, and whether a later line replaces an earlier one.
struct Kind {
  uint8_t sides;
  HaproxyRepeat repeat;
};

constexpr Kind kAny{kHaproxyBoth, HaproxyRepeat::kAdds};
constexpr Kind kOne{kHaproxyBoth, HaproxyRepeat::kReplaces};
constexpr Kind kFront{kHaproxyFront, HaproxyRepeat::kAdds};
constexpr Kind kFrontOne{kHaproxyFront, HaproxyRepeat::kReplaces};
constexpr Kind kBack{kHaproxyBack, HaproxyRepeat::kAdds};
constexpr Kind kBackOne{kHaproxyBack, HaproxyRepeat::kReplaces};
constexpr Kind kBackStep{kHaproxyBack, HaproxyRepeat::kReplacesInherited};

struct Rule {
  std::string_view name;  // one word or two
  Kind kind = kAny;
  void (*take)(Import&, const Line&) = nullptr;
  std::string_view remark = {};  // where there is no `take`; empty: nothing is lost
};

void HardStop(Import& import, const Line& line) {
  uint64_t ms = 0;
  if (import.TimeMs(line, line.arg(0), &ms))
    import.draft->SetNumber("timeout.drain_ms", ms, line.at);
}

void Maxconn(Import& import, const Line& line) {
  uint64_t number = 0;
  if (import.Number(line, line.arg(0), &number) && number > 0) {
    import.draft->SetNumber("max_connections", number, line.at);
  }
}

void Threads(Import& import, const Line& line) {
  uint64_t number = 0;
  if (import.Number(line, line.arg(0), &number))
    import.draft->SetNumber("workers", number, line.at);
}

void User(Import& import, const Line& line) {
  const std::string name(line.arg(0));
  const bool group = line.name() == "group";
  if (!(group ? import.options.has_group(name) : import.options.has_user(name))) {
    return import.Remark(
        line, fmt::format("there is no such {} here (without one it is nobody)", line.name()));
  }
  import.draft->Set(line.name(), name, line.at);
}

// Read once all lines are there.
void Later(Import& /*import*/, const Line& /*line*/) {}

void Reuse(Import& import, const Line& line) {
  if (line.arg(0) == "never") {
    import.draft->SetNumber("connection_pool.max_idle_per_backend", 0, line.at);
  }
}

// A frontend logs where it says, and where the global section says if it asks for that.
void Log(Import& import, const Line& line) {
  if (line.arg(0) == "global") {
    import.log_global = true;
    return;
  }
  if (import.current == nullptr && !import.log_global) return;
  if (line.arg(0) == "stdout" || line.arg(0) == "stderr") {
    return import.draft->Set("logging.access_log", std::string(line.arg(0)), line.at);
  }
  import.Remark(line, "logs go to files, stdout or stderr, not to syslog (logging.access_log)");
}

void CloseServer(Import& import, const Line& line) {
  import.draft->SetNumber("connection_pool.max_idle_per_backend", 0, line.at);
}

void Close(Import& import, const Line& line) {
  CloseServer(import, line);
  import.draft->SetNumber("limits.requests_per_connection", 1, line.at);
}

void ForwardFor(Import& import, const Line& line) {
  for (size_t i = 1; i < line.size(); ++i) {
    if (line.arg(i) == "header" || line.arg(i) == "except") {
      return import.Remark(line, "X-Forwarded-For is sent for every client, by that name");
    }
  }
}

void Deny(Import& import, const Line& line) {
  const std::string_view action = line.arg(line.name() == "tcp-request" ? 1 : 0);
  if (action.starts_with("track-sc")) return;  // looked at by the rules that deny
  const bool denies = action == "deny" || action == "tarpit" || action == "return" ||
                      action == "reject" || action == "silent-drop";
  if (denies && ImportHaproxyLimit(&import, line)) return;
  import.Remark(line, "has no counterpart: no rules deny");
}

// The usual value of a header that is sent here anyway: what a rule with another one sets is not.
bool IsUsual(const Import& import, const std::string& name, const Line& line) {
  const std::string value = ToLowerAscii(line.arg(2));
  std::string condition;
  for (size_t i = 3; i < line.size(); ++i) condition += line.arg(i);
  if (name == "x-forwarded-proto") {
    if (value == "%[ssl_fc,iif(https,http)]") return condition.empty();
    const bool tls = condition == "if{ssl_fc}" || condition == "unless!{ssl_fc}";
    const bool clear = condition == "if!{ssl_fc}" || condition == "unless{ssl_fc}";
    if (value == "http") return clear;
    const bool all_tls = import.current->section->kind() == "backend"
                             ? std::ranges::all_of(import.fronts, &HaproxyProxy::all_tls)
                             : import.current->all_tls;
    return value == "https" && (tls || (condition.empty() && all_tls));
  }
  if (!condition.empty()) return false;
  if (name == "x-forwarded-for" || name == "x-real-ip") return value == "%[src]" || value == "%ci";
  if (name == "x-forwarded-host") return value == "%[req.hdr(host)]" || value == "%[hdr(host)]";
  return value == "%[uuid()]" || value == "%[uuid]" || value == "%[unique-id]" || value == "%id";
}

void SetHeader(Import& import, const Line& line) {
  const std::string name = ToLowerAscii(line.arg(1));
  for (const std::string_view known :
       {"x-forwarded-proto", "x-forwarded-for", "x-real-ip", "x-forwarded-host", "x-request-id"}) {
    if (name != known) continue;
    if (!IsUsual(import, name, line)) {
      import.Remark(line, fmt::format("{} is sent with what is known of the client and its request",
                                      ImportText(line.arg(1))));
    }
    return;
  }
  import.Remark(line, "headers of one's own are not sent");
}

void Mode(Import& import, const Line& line) {
  if (line.arg(0) == "http") return;
  import.Remark(line, "only HTTP is balanced: connections are read as HTTP here");
}

void DefaultServer(Import& import, const Line& line) { ImportHaproxyDefaultServer(&import, line); }
void Server(Import& import, const Line& line) { ImportHaproxyServer(&import, line); }
void Dispatch(Import& import, const Line& line) {
  ImportHaproxyServer(&import, {line.at, {"server", "dispatch", line.words[1]}});
}
void Bind(Import& import, const Line& line) { ImportHaproxyBind(&import, line); }

void TcpCheck(Import& import, const Line& line) {
  import.Remark(line, "backends are checked by TCP connect");
}

void AddHeader(Import& import, const Line& line) {
  if (ToLowerAscii(line.arg(1)) != "strict-transport-security") {
    return import.Remark(line, "responses get no headers of one's own");
  }
  if (import.ReadsFront()) import.said_of_fronts.Add("Strict-Transport-Security", line.at);
  import.draft->SetHsts(line.arg(2), line.at);
}

void Redirect(Import& import, const Line& line) {
  static const HaproxyAcls none;
  switch (HttpsRedirectOf(line, import.current == nullptr ? none : import.current->acls)) {
    case HaproxyRedirect::kNone:
      return import.Remark(line, "has no counterpart: requests are neither changed nor routed");
    case HaproxyRedirect::kUnderConditions:
      return import.Remark(line,
                           "is left out: tls.redirect_http is for all that comes without TLS");
    case HaproxyRedirect::kAlways:
      return;
  }
}

// "ssl-default-bind-ciphers X" is "ciphers X" of every bind.
void DefaultBind(Import& import, const Line& line) {
  HaproxyLine words = line;
  if (line.name() == "ssl-default-bind-ciphers")
    words.words.insert(words.words.begin() + 1, "ciphers");
  if (line.name() == "ssl-default-bind-curves")
    words.words.insert(words.words.begin() + 1, "curves");
  for (size_t i = 0; i < words.size(); ++i) {
    if (!ImportHaproxyBindTls(&import, words, &i)) import.Remark(line, "has no counterpart");
  }
}

constexpr std::string_view kElsewhere = "is said of each listener or backend here, or is fixed";

constexpr Rule kRules[] = {
    {"acl"},
    {"backlog", kFrontOne},
    {"balance", kBackOne, ImportHaproxyBalance},
    {"bind", kFront, Bind},
    {"ca-base"},
    {"chroot", kAny, nullptr, "children are confined by a system call filter instead"},
    {"compression", kAny, nullptr, "has no counterpart: let the backends compress"},
    {"cookie", kBackOne, nullptr,
     "cookies are not set here: algorithm ip-hash, with hash_key cookie:NAME, goes by a cookie of "
     "the application"},
    {"cpu-map", kAny, nullptr, "has no counterpart"},
    {"crt-base"},
    {"daemon", kAny, nullptr, "is not in the file: start it with -d"},
    {"default-server", kBack, DefaultServer},
    {"default_backend", kFrontOne},
    {"description", kOne},
    {"enabled", kOne},
    {"errorfile", kAny, nullptr, "error pages are UltraBalancer's own"},
    {"disabled", kOne, nullptr, "is not carried over: it serves"},
    {"dispatch", kBack, Dispatch},
    {"external-check", kBack},
    {"fullconn", kBackOne, nullptr, "limits are fixed (max_connections of a backend)"},
    {"group", kAny, User},
    {"grace", kFrontOne, nullptr, "has no counterpart"},
    {"hard-stop-after", kAny, HardStop},
    {"hash-type", kBackOne},
    {"http-check", kBackStep, Later},
    {"http-request add-header", kAny, SetHeader},
    {"http-request deny", kAny, Deny},
    {"http-request redirect", kAny, Redirect},
    {"http-request reject", kAny, Deny},
    {"http-request return", kAny, Deny},
    {"http-request set-header", kAny, SetHeader},
    {"http-request tarpit", kAny, Deny},
    {"http-request silent-drop", kAny, Deny},
    {"http-request track-sc0"},
    {"http-request track-sc1"},
    {"http-request track-sc2"},
    {"http-response add-header", kAny, AddHeader},
    {"http-response set-header", kAny, AddHeader},
    {"http-reuse", kBackOne, Reuse},
    {"log", kFront, Log},
    {"log-format", kFrontOne, nullptr, "formats are combined and json (logging.format)"},
    {"log-tag", kFrontOne},
    {"maxconn", kFrontOne, Maxconn},
    {"mode", kOne, Mode},
    {"monitor-uri", kFrontOne, nullptr, "the management address has /health and /ready"},
    {"nbproc", kAny, Threads},
    {"nbthread", kAny, Threads},
    {"option abortonclose", kBackOne},
    {"option accept-invalid-http-request", kFrontOne, nullptr,
     "a malformed head is always refused"},
    {"option allbackups", kBackOne},
    {"option contstats", kFrontOne},
    {"option dontlog-normal", kFrontOne, nullptr, "every request is logged, or none"},
    {"option dontlognull", kFrontOne},
    {"option external-check", kBackOne, TcpCheck},
    {"option forwardfor", kOne, ForwardFor},
    {"option http-keep-alive", kOne},
    {"option http-server-close", kOne, CloseServer},
    {"option httpchk", kBackOne, Later},
    {"option httpclose", kOne, Close},
    {"option httplog", kFrontOne},
    {"option ldap-check", kBackOne, TcpCheck},
    {"option log-health-checks", kBackOne},
    {"option mysql-check", kBackOne, TcpCheck},
    {"option pgsql-check", kBackOne, TcpCheck},
    {"option prefer-last-server", kBackOne},
    {"option redis-check", kBackOne, TcpCheck},
    {"option redispatch", kBackOne},
    {"option smtpchk", kBackOne, TcpCheck},
    {"option splice-auto", kOne},
    {"option splice-request", kOne},
    {"option splice-response", kOne},
    {"option ssl-hello-chk", kBackOne, TcpCheck},
    {"option tcp-check", kBackOne},
    {"option tcp-smart-accept", kFrontOne},
    {"option tcp-smart-connect", kBackOne},
    {"option tcpka", kOne},
    {"option tcplog", kFrontOne},
    {"pidfile", kAny, nullptr, "it has a pid file of its own (pid_file)"},
    {"redirect", kAny, Redirect},
    {"retries", kBackOne, ImportHaproxyRetries},
    {"retry-on", kBackOne, ImportHaproxyRetryOn},
    {"server", kBack, Server},
    {"server-template", kBack, Server},
    {"ssl-default-bind-ciphers", kAny, DefaultBind},
    {"ssl-default-bind-ciphersuites", kAny, nullptr, "is fixed: suites of TLS 1.3 are not chosen"},
    {"ssl-default-bind-curves", kAny, DefaultBind},
    {"ssl-default-bind-options", kAny, DefaultBind},
    {"ssl-default-server-ciphers", kAny, nullptr, kElsewhere},
    {"ssl-default-server-ciphersuites", kAny, nullptr, kElsewhere},
    {"ssl-default-server-options", kAny, nullptr, kElsewhere},
    {"ssl-dh-param-file"},
    {"ssl-server-verify"},
    {"stats", kAny, nullptr,
     "see the management address (admin): /dashboard, /metrics, /prometheus"},
    {"stick", kBack, ImportHaproxyStick},
    {"stick-table", kOne},
    {"tcp-request connection", kAny, Deny},
    {"tcp-request content", kAny, Deny},
    {"tcp-request session", kAny, Deny},
    {"timeout check", kBackOne, ImportHaproxyTime},
    {"timeout client", kFrontOne, Later},
    {"timeout connect", kBackOne, ImportHaproxyTime},
    {"timeout http-keep-alive", kFrontOne, Later},
    {"timeout http-request", kFrontOne, ImportHaproxyTime},
    {"timeout queue", kBackOne, ImportHaproxyTime},
    {"timeout server", kBackOne, ImportHaproxyTime},
    {"timeout tunnel", kBackOne, nullptr,
     "a tunnel ends by timeout.idle_ms, as an idle client does"},
    {"tune.ssl.default-dh-param"},
    {"ulimit-n", kAny, nullptr, "the limit of open files is the service manager's"},
    {"unique-id-format", kFrontOne, nullptr, "X-Request-ID has a form of its own"},
    {"unique-id-header", kFrontOne},
    {"use_backend", kFront},
    {"user", kAny, User},
};

// Options of which one takes the place of another.
std::string_view SlotOf(std::string_view name) {
  constexpr std::string_view kOption = "option ";
  if (!name.starts_with(kOption)) return name;
  const std::string_view option = name.substr(kOption.size());
  for (const std::string_view mode : {"http-keep-alive", "http-server-close", "httpclose"}) {
    if (option == mode) return "http mode";
  }
  for (const std::string_view check :
       {"external-check", "httpchk", "ldap-check", "mysql-check", "pgsql-check", "redis-check",
        "smtpchk", "ssl-hello-chk", "tcp-check"}) {
    if (option == check) return "check";
  }
  return name;
}

// Whether a frontend's setting has a value that can be taken.
bool IsTaken(const Line& line) {
  const std::string& value = line.words.back();
  return line.name() != "mode" && value != "0" && value.find('$') == std::string::npos;
}

// Whether it may stand in the global section.
bool IsGlobal(const Rule& rule) {
  if (rule.name == "log" || rule.name == "maxconn") return true;
  return rule.kind.sides == kHaproxyBoth && rule.name.find(' ') == std::string_view::npos;
}

// Null: it is not known.
const Rule* FindRule(const Line& line) {
  const std::string two = fmt::format("{} {}", line.name(), line.arg(0));
  const auto* rule = std::ranges::find(kRules, std::string_view(two), &Rule::name);
  if (rule == std::end(kRules)) {
    rule = std::ranges::find(kRules, std::string_view(line.name()), &Rule::name);
  }
  return rule == std::end(kRules) ? nullptr : rule;
}

}  // namespace

HaproxyKeyword FindHaproxyKeyword(const HaproxyLine& line) {
  const Rule* rule = FindRule(line);
  if (rule == nullptr) {
    return {.lost = true, .slot = fmt::format("{} {}", line.name(), line.arg(0))};
  }
  const bool step = line.name() == "http-check";
  return {rule->name,
          rule->kind.sides,
          rule->kind.repeat,
          rule->take != nullptr,
          !rule->remark.empty(),
          step ? fmt::format("http-check {}", line.arg(0)) : std::string(SlotOf(rule->name))};
}

void ImportHaproxyLine(HaproxyImport* import, const HaproxyLine& line) {
  if (line.name() == "no" || line.name() == "default") return;  // takes back what is inherited
  const Rule* rule = FindRule(line);
  if (rule == nullptr || (import->current == nullptr && !IsGlobal(*rule))) {
    return import->Remark(line, "has no counterpart");
  }
  if (rule->take == nullptr) {
    if (!rule->remark.empty()) import->Remark(line, rule->remark);
    return;
  }
  const bool two_words = rule->name.find(' ') != std::string_view::npos;
  const size_t needed = two_words && line.name() == "timeout" ? 2 : 1;
  if (line.size() < needed) {
    return import->draft->Fault(line.at,
                                fmt::format("\"{}\" needs a value", ImportText(line.Text())));
  }
  if (import->ReadsFront() && rule->kind.repeat == HaproxyRepeat::kReplaces &&
      (rule->kind.sides & kHaproxyFront) != 0 && IsTaken(line)) {
    import->said_of_fronts.Add(std::string(rule->name), line.at);
  }
  rule->take(*import, line);
}

}  // namespace ub
