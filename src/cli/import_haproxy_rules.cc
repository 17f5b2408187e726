// The table of HAProxy's keywords: a row either knows what a line becomes, or why nothing is
// needed, or what to say of it.
#include <fmt/format.h>

#include <algorithm>

#include "cli/import_haproxy.h"
#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Import = HaproxyImport;
using Line = HaproxyLine;

struct Rule {
  std::string_view name;  // one word or two
  void (*take)(Import&, const Line&) = nullptr;
  std::string_view remark = {};  // where there is no `take`; empty: nothing is lost
};

void Time(Import& import, const Line& line, std::string_view path) {
  uint64_t ms = 0;
  if (import.TimeMs(line, line.arg(1), &ms)) import.draft->SetNumber(path, ms, line.at);
}

void TimeoutConnect(Import& i, const Line& l) { Time(i, l, "timeout.connect_ms"); }
void TimeoutServer(Import& i, const Line& l) { Time(i, l, "timeout.request_ms"); }
void TimeoutRequest(Import& i, const Line& l) { Time(i, l, "timeout.header_ms"); }
void TimeoutKeepAlive(Import& i, const Line& l) { Time(i, l, "timeout.idle_ms"); }
void TimeoutQueue(Import& i, const Line& l) { Time(i, l, "queue.timeout_ms"); }
void TimeoutCheck(Import& i, const Line& l) { Time(i, l, "health_check.timeout_ms"); }
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

void Balance(Import& import, const Line& line) {
  const std::string algorithm = ToLowerAscii(line.arg(0));
  const auto set = [&](std::string_view ours, std::string key = {}) {
    if (import.draft->Has("algorithm")) return;
    import.draft->Set("algorithm", std::string(ours), line.at);
    if (!key.empty()) import.draft->Set("hash_key", std::move(key), line.at);
  };
  if (algorithm == "roundrobin" || algorithm == "static-rr") return set("round-robin");
  if (algorithm == "leastconn") return set("least-connections");
  if (algorithm == "random" || algorithm == "random(2)") return set("power-of-two");
  if (algorithm.starts_with("random(")) {
    return set(algorithm == "random(1)" ? "random" : "power-of-two");
  }
  if (algorithm == "source" || (algorithm == "hash" && line.arg(1) == "src")) {
    return set("ip-hash", "client_ip");
  }
  if (algorithm == "uri") {
    if (line.size() > 1) import.Remark(line, "the whole URI is hashed");
    return set("ip-hash", "uri");
  }
  if (algorithm.starts_with("hdr(") && algorithm.ends_with(')')) {
    return set("ip-hash", "header:" + std::string(line.arg(0).substr(4, algorithm.size() - 5)));
  }
  const std::string_view fetch = line.arg(1);
  if (algorithm == "hash" && fetch.starts_with("req.cook(") && fetch.ends_with(')')) {
    return set("ip-hash", "cookie:" + std::string(fetch.substr(9, fetch.size() - 10)));
  }
  if (algorithm == "hash" && fetch.starts_with("req.hdr(") && fetch.ends_with(')')) {
    return set("ip-hash", "header:" + std::string(fetch.substr(8, fetch.size() - 9)));
  }
  import.Remark(line, "has no counterpart: requests go round-robin");
}

void Stick(Import& import, const Line& line) {
  if (line.arg(0) != "on" || line.arg(1) != "src") {
    return import.Remark(line,
                         "has no counterpart: there are no tables (see ip-hash and hash_key)");
  }
  // It decides before the algorithm does.
  import.draft->Remove("algorithm");
  import.draft->Set("algorithm", "ip-hash", line.at);
  import.Remark(line, "the same client comes to the same backend by a hash, not by a table");
}

void Retries(Import& import, const Line& line) {
  uint64_t number = 0;
  if (!import.Number(line, line.arg(0), &number)) return;
  import.draft->SetNumber("retry.max_attempts", number + 1, line.at);
}

void RetryOn(Import& import, const Line& line) {
  if (import.draft->Has("retry.on")) return;
  const auto add = [&](std::string_view what) {
    import.draft->Add("retry.on", std::string(what), line.at);
  };
  for (size_t i = 0; i < line.size(); ++i) {
    const std::string_view word = line.arg(i);
    if (word == "none") {
      import.draft->SetNumber("retry.max_attempts", 1, line.at);
    } else if (word == "conn-failure") {
      add("connect");
    } else if (word == "empty-response") {
      add("reset");
    } else if (word == "response-timeout") {
      add("timeout");
    } else if (word == "502" || word == "503" || word == "504") {
      add(word);
    } else if (word == "all-retryable-errors") {
      for (const std::string_view each : {"connect", "reset", "timeout", "502", "503", "504"})
        add(each);
    } else {
      import.draft->Remark(line.at,
                           fmt::format("\"retry-on {}\" has no counterpart", ImportText(word)));
    }
  }
}

void Log(Import& import, const Line& line) {
  if (line.arg(0) == "stdout" || line.arg(0) == "stderr") {
    return import.draft->Set("logging.access_log", std::string(line.arg(0)), line.at);
  }
  if (line.arg(0) != "global") {
    import.Remark(line, "logs go to files, stdout or stderr, not to syslog (logging.access_log)");
  }
}

void CloseServer(Import& import, const Line& line) {
  if (import.once.insert("http-server-close").second) {
    import.draft->SetNumber("connection_pool.max_idle_per_backend", 0, line.at);
  }
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
  if (!ImportHaproxyLimit(&import, line)) import.Remark(line, "has no counterpart: no rules deny");
}

void SetHeader(Import& import, const Line& line) {
  const std::string name = ToLowerAscii(line.arg(1));
  for (const std::string_view known :
       {"x-forwarded-proto", "x-forwarded-for", "x-real-ip", "x-forwarded-host", "x-request-id"}) {
    if (name == known) return;
  }
  import.Remark(line, "headers of one's own are not sent");
}

void Mode(Import& import, const Line& line) {
  if (line.arg(0) == "http" || !import.once.insert("mode").second) {
    import.once.insert("mode");
    return;
  }
  import.Remark(line, "only HTTP is balanced: connections are read as HTTP here");
}

void DefaultServer(Import& import, const Line& line) {
  import.default_server.insert(import.default_server.end(), line.words.begin() + 1,
                               line.words.end());
}

void Check(Import& import, const Line& line) { ImportHaproxyCheck(&import, line); }
void TcpCheck(Import& import, const Line& line) {
  import.once.insert("httpchk");  // an outer one is of another kind
  if (line.arg(0) != "tcp-check") import.Remark(line, "backends are checked by TCP connect");
}

void AddHeader(Import& import, const Line& line) {
  if (ToLowerAscii(line.arg(1)) != "strict-transport-security") {
    return import.Remark(line, "responses get no headers of one's own");
  }
  import.draft->SetHsts(line.arg(2), line.at);
}

void Redirect(Import& import, const Line& line) {
  if (!ImportHaproxyRedirect(&import, line)) {
    import.Remark(line, "has no counterpart: requests are neither changed nor routed");
  }
}

// "ssl-default-bind-ciphers X" is "ciphers X" of every bind.
void DefaultBind(Import& import, const Line& line) {
  HaproxyLine words = line;
  if (line.name() == "ssl-default-bind-ciphers") words.words.insert(words.words.begin() + 1, "ciphers");
  if (line.name() == "ssl-default-bind-curves") words.words.insert(words.words.begin() + 1, "curves");
  for (size_t i = 0; i < words.size(); ++i) {
    if (!ImportHaproxyBindTls(&import, words, &i)) import.Remark(line, "has no counterpart");
  }
}

constexpr std::string_view kRoutes = "has no counterpart: requests are neither changed nor routed";
constexpr std::string_view kElsewhere = "is said of each listener or backend here, or is fixed";

constexpr Rule kRules[] = {
    {"acl"},
    {"backlog"},
    {"balance", Balance},
    {"bind"},
    {"ca-base"},
    {"chroot", nullptr, "children are confined by a system call filter instead"},
    {"compression", nullptr, "has no counterpart: let the backends compress"},
    {"cookie", nullptr,
     "cookies are not set here: algorithm ip-hash, with hash_key cookie:NAME, goes by a cookie of "
     "the application"},
    {"cpu-map", nullptr, "has no counterpart"},
    {"crt-base"},
    {"daemon", nullptr, "is not in the file: start it with -d"},
    {"default-server", DefaultServer},
    {"default_backend"},
    {"description"},
    {"errorfile", nullptr, "error pages are UltraBalancer's own"},
    {"dispatch"},
    {"external-check"},
    {"fullconn", nullptr, "limits are fixed (max_connections of a backend)"},
    {"group", User},
    {"grace", nullptr, "has no counterpart"},
    {"hard-stop-after", HardStop},
    {"hash-type"},
    {"http-check", Check},
    {"http-request add-header", SetHeader},
    {"http-request deny", Deny},
    {"http-request redirect", Redirect},
    {"http-request return", Deny},
    {"http-request set-header", SetHeader},
    {"http-request tarpit", Deny},
    {"http-request track-sc0"},
    {"http-request track-sc1"},
    {"http-request track-sc2"},
    {"http-response add-header", AddHeader},
    {"http-response set-header", AddHeader},
    {"http-reuse"},
    {"log", Log},
    {"log-format", nullptr, "formats are combined and json (logging.format)"},
    {"log-tag"},
    {"maxconn", Maxconn},
    {"mode", Mode},
    {"monitor-uri", nullptr, "the management address has /health and /ready"},
    {"nbproc", Threads},
    {"nbthread", Threads},
    {"option abortonclose"},
    {"option accept-invalid-http-request", nullptr, "a malformed head is always refused"},
    {"option allbackups"},
    {"option contstats"},
    {"option dontlog-normal", nullptr, "every request is logged, or none"},
    {"option dontlognull"},
    {"option external-check", TcpCheck},
    {"option forwardfor", ForwardFor},
    {"option http-keep-alive"},
    {"option http-server-close", CloseServer},
    {"option httpchk", Check},
    {"option httpclose", Close},
    {"option httplog"},
    {"option ldap-check", TcpCheck},
    {"option log-health-checks"},
    {"option mysql-check", TcpCheck},
    {"option pgsql-check", TcpCheck},
    {"option prefer-last-server"},
    {"option redis-check", TcpCheck},
    {"option redispatch"},
    {"option smtpchk", TcpCheck},
    {"option splice-auto"},
    {"option splice-request"},
    {"option splice-response"},
    {"option ssl-hello-chk", TcpCheck},
    {"option tcp-check", TcpCheck},
    {"option tcp-smart-accept"},
    {"option tcp-smart-connect"},
    {"option tcpka"},
    {"option tcplog"},
    {"pidfile", nullptr, "it has a pid file of its own (pid_file)"},
    {"redirect", Redirect},
    {"retries", Retries},
    {"retry-on", RetryOn},
    {"server"},
    {"server-template"},
    {"ssl-default-bind-ciphers", DefaultBind},
    {"ssl-default-bind-ciphersuites", nullptr, "is fixed: suites of TLS 1.3 are not chosen"},
    {"ssl-default-bind-curves", DefaultBind},
    {"ssl-default-bind-options", DefaultBind},
    {"ssl-default-server-ciphers", nullptr, kElsewhere},
    {"ssl-default-server-ciphersuites", nullptr, kElsewhere},
    {"ssl-default-server-options", nullptr, kElsewhere},
    {"ssl-dh-param-file"},
    {"ssl-server-verify"},
    {"stats", nullptr, "see the management address (admin): /dashboard, /metrics, /prometheus"},
    {"stick", Stick},
    {"stick-table"},
    {"tcp-request connection", Deny},
    {"tcp-request content", Deny},
    {"timeout check", TimeoutCheck},
    {"timeout client"},
    {"timeout connect", TimeoutConnect},
    {"timeout http-keep-alive", TimeoutKeepAlive},
    {"timeout http-request", TimeoutRequest},
    {"timeout queue", TimeoutQueue},
    {"timeout server", TimeoutServer},
    {"timeout tunnel", nullptr, "a tunnel ends by timeout.idle_ms, as an idle client does"},
    {"tune.ssl.default-dh-param"},
    {"ulimit-n", nullptr, "the limit of open files is the service manager's"},
    {"unique-id-format", nullptr, "X-Request-ID has a form of its own"},
    {"unique-id-header"},
    {"use_backend"},
    {"user", User},
};

}  // namespace

void ImportHaproxyLine(HaproxyImport* import, const HaproxyLine& given) {
  HaproxyLine line = given;
  if (line.name() == "no" || line.name() == "default") {
    // "no option x" takes back what is inherited.
    if (line.size() > 1 && line.arg(0) == "option") import->once.insert(line.words[2]);
    return;
  }
  const std::string two = fmt::format("{} {}", line.name(), line.arg(0));
  auto rule = std::ranges::find(kRules, std::string_view(two), &Rule::name);
  if (rule == std::end(kRules)) {
    rule = std::ranges::find(kRules, std::string_view(line.name()), &Rule::name);
  }
  if (rule == std::end(kRules)) return import->Remark(line, "has no counterpart");
  if (rule->take != nullptr) {
    const size_t needed =
        rule->name.find(' ') != std::string_view::npos && line.name() == "timeout" ? 2 : 1;
    if (line.size() < needed) {
      return import->draft->Fault(line.at,
                                  fmt::format("\"{}\" needs a value", ImportText(line.Text())));
    }
    return rule->take(*import, line);
  }
  if (!rule->remark.empty()) import->Remark(line, rule->remark);
}

}  // namespace ub
