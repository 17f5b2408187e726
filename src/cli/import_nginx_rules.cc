// The table of nginx's directives: a row either knows what one becomes, or why nothing is needed,
// or what to say of it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/import_nginx.h"
#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;
using Import = NginxImport;

// Handlers are called with one argument at least.
struct Rule {
  std::string_view name;  // with "*" at its end: whatever begins so
  void (*take)(Import&, const Directive&) = nullptr;
  std::string_view remark = {};  // where there is no `take`; empty: nothing is lost
};

void Time(Import& import, const Directive& d, std::string_view path) {
  uint64_t ms = 0;
  if (import.TimeMs(d, d.arg(0), &ms)) import.draft->SetNumber(path, ms, d.at);
}

void ConnectTimeout(Import& i, const Directive& d) { Time(i, d, "timeout.connect_ms"); }
void ReadTimeout(Import& i, const Directive& d) { Time(i, d, "timeout.request_ms"); }
void HeaderTimeout(Import& i, const Directive& d) { Time(i, d, "timeout.header_ms"); }

// 0: as long as requests last. Here that is a day at most.
void ShutdownTimeout(Import& import, const Directive& d) {
  constexpr uint64_t kDay = 86'400'000;
  uint64_t ms = 0;
  if (!import.TimeMs(d, d.arg(0), &ms)) return;
  if (ms == 0) import.Remark(d, "a leaving worker waits for a day at most");
  import.draft->SetNumber("timeout.drain_ms", ms == 0 ? kDay : ms, d.at);
}

void KeepaliveTimeout(Import& import, const Directive& d) {
  uint64_t ms = 0;
  if (!import.TimeMs(d, d.arg(0), &ms)) return;
  if (ms == 0) {
    import.draft->Remove("limits.requests_per_connection");
    import.draft->SetNumber("limits.requests_per_connection", 1, d.at);
  } else {
    import.draft->SetNumber("timeout.idle_ms", ms, d.at);
  }
}

void KeepaliveRequests(Import& import, const Directive& d) {
  uint64_t number = 0;
  if (!import.Number(d, d.arg(0), &number)) return;
  // 0 leaves no connection open, where ours is without a limit then.
  import.draft->SetNumber("limits.requests_per_connection", std::max<uint64_t>(number, 1), d.at);
}

void Workers(Import& import, const Directive& d) {
  if (d.arg(0) == "auto") return import.draft->Set("workers", "auto", d.at);
  if (!import.Number(d, d.arg(0), &import.workers)) return;
  import.draft->SetNumber("workers", import.workers, d.at);
}

void WorkerConnections(Import& import, const Directive& d) {
  uint64_t number = 0;
  if (!import.Number(d, d.arg(0), &number)) return;
  if (import.workers == 0) {
    return import.Remark(d,
                         "is for one worker, clients and backends together; max_connections is "
                         "for the clients of all workers");
  }
  import.Remark(d,
                "counts clients and backends of one worker: half of it for each worker was taken");
  import.draft->SetNumber("max_connections", std::max<uint64_t>(number * import.workers / 2, 1),
                          d.at);
}

void User(Import& import, const Directive& d) {
  const bool group = d.size() > 1;
  const std::string& name = d.arg(0);
  if (!import.options.has_user(name) || (group && !import.options.has_group(d.arg(1)))) {
    return import.Remark(d, "there is no such user here (without one it is nobody)");
  }
  import.draft->Set("user", name, d.at);
  if (group) import.draft->Set("group", d.arg(1), d.at);
}

bool IsLogPath(const Directive& d, Import& import) {
  const std::string& path = d.arg(0);
  if (path.starts_with('/') && path.find('$') == std::string::npos) return true;
  import.Remark(d, path.starts_with("syslog:") ? "logs go to files, stdout or stderr only"
                                               : "is not an absolute path without variables");
  return false;
}

void ErrorLog(Import& import, const Directive& d) {
  if (d.size() > 1) {
    const std::string& level = d.arg(1);
    const bool known = level == "debug" || level == "info" || level == "notice" ||
                       level == "warn" || level == "error";
    import.draft->Set("logging.level", known ? level : "error", d.at);
  }
  if (d.arg(0) == "stderr" || d.arg(0) == "/dev/stderr") {
    import.draft->Set("logging.file", "stderr", d.at);
  } else if (d.arg(0) == "/dev/null") {
    import.draft->Set("logging.level", "off", d.at);
  } else if (IsLogPath(d, import)) {
    import.draft->Set("logging.file", d.arg(0), d.at);
  }
}

void AccessLog(Import& import, const Directive& d) {
  const std::string& path = d.arg(0);
  if (path == "off" || path == "/dev/null") {
    return import.draft->Set("logging.access_log", "off", d.at);
  }
  if (path == "/dev/stdout" || path == "/dev/stderr") {
    import.draft->Set("logging.access_log", path.substr(5), d.at);
  } else if (IsLogPath(d, import)) {
    import.draft->Set("logging.access_log", path, d.at);
  } else {
    return;
  }
  for (size_t i = 1; i < d.size(); ++i) {
    if (d.arg(i).starts_with("if="))
      import.Remark(d, "every request is logged, without a condition");
  }
  const std::string format = d.size() > 1 ? d.arg(1) : "combined";
  if (format == "combined" || format.find('=') != std::string::npos) return;
  const auto known = import.json_formats.find(format);
  const bool json = known != import.json_formats.end() && known->second;
  import.draft->Set("logging.format", json ? "json" : "combined", d.at);
  import.Remark(d, json ? "the fields of the JSON format are UltraBalancer's own"
                        : "formats are combined and json; combined was taken");
}

void BodySize(Import& import, const Directive& d) {
  uint64_t bytes = 0;
  if (import.Size(d, d.arg(0), &bytes)) import.draft->SetNumber("limits.body_bytes", bytes, d.at);
}

// "large_client_header_buffers 4 8k": four lines of a head, none longer than one buffer.
void HeaderBuffers(Import& import, const Directive& d) {
  uint64_t number = 0, bytes = 0;
  if (d.size() < 2) return import.Remark(d, "needs a number and a size");
  if (!import.Number(d, d.arg(0), &number) || !import.Size(d, d.arg(1), &bytes)) return;
  import.draft->SetNumber("limits.header_bytes", std::min<uint64_t>(number, 1000) * bytes, d.at);
  import.draft->SetNumber("limits.uri_bytes", bytes, d.at);
}

void NextUpstream(Import& import, const Directive& d) {
  std::vector<std::string> on;
  for (size_t i = 0; i < d.size(); ++i) {
    const std::string& word = d.arg(i);
    if (word == "off") {
      import.draft->Remove("retry.max_attempts");
      return import.draft->SetNumber("retry.max_attempts", 1, d.at);
    }
    if (word == "error") {
      on.insert(on.end(), {"connect", "reset"});
    } else if (word == "timeout") {
      on.push_back(word);
    } else if (word == "http_502" || word == "http_503" || word == "http_504") {
      on.push_back(word.substr(5));
    } else {
      import.draft->Remark(
          d.at, fmt::format("\"proxy_next_upstream {}\" has no counterpart", ImportText(word)));
    }
  }
  if (import.draft->Has("retry.on")) return;
  for (const std::string& word : on) import.draft->Add("retry.on", word, d.at);
}

void NextUpstreamTries(Import& import, const Directive& d) {
  uint64_t number = 0;
  if (!import.Number(d, d.arg(0), &number)) return;
  if (number == 0) number = std::max<uint64_t>(import.servers, 1);
  import.draft->SetNumber("retry.max_attempts", number, d.at);
}

void Limit(Import& import, const Directive& d) { ImportNginxLimit(&import, d); }

void LimitStatus(Import& import, const Directive& d) {
  if (d.arg(0) != "429") import.Remark(d, "the answer is always 429");
}

void Header(Import& import, const Directive& d) { ImportNginxHeader(&import, d); }
void Tls(Import& import, const Directive& d) { ImportNginxTls(&import, d); }

void RealIpFrom(Import& import, const Directive& d) { import.real_ip_from.push_back(&d); }

void RealIpHeader(Import& import, const Directive& d) {
  import.real_ip_header = d.arg(0);
  import.real_ip_at = d.at;
}

void HealthCheck(Import& import, const Directive& d) {
  uint64_t number = 0;
  if (import.draft->Has("health_check.path")) {
    return import.Remark(d, "there is one health check; another was taken before");
  }
  import.draft->Set("health_check.path", "/", d.at);
  for (size_t i = 0; i < d.size(); ++i) {
    const std::string& word = d.arg(i);
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals),
                      value = word.substr(std::min(equals + 1, word.size()));
    if (name == "uri") {
      import.draft->Remove("health_check.path");
      import.draft->Set("health_check.path", value, d.at);
    } else if (name == "interval" && import.TimeMs(d, value, &number)) {
      import.draft->SetNumber("health_check.interval_ms", number, d.at);
    } else if (name == "fails" && import.Number(d, value, &number)) {
      import.draft->SetNumber("health_check.max_failures", number, d.at);
    } else if (name == "passes" && import.Number(d, value, &number)) {
      import.draft->SetNumber("health_check.min_successes", number, d.at);
    } else {
      import.draft->Remark(d.at,
                           fmt::format("\"health_check {}\" has no counterpart", ImportText(word)));
    }
  }
  import.draft->Set("health_check.method", "GET", d.at);
  import.draft->Set("health_check.expected_status", "200-399", d.at);
}

constexpr std::string_view kFiles = "has no counterpart: files are not served";
constexpr std::string_view kRoutes = "has no counterpart: requests are neither changed nor routed";
constexpr std::string_view kStreams = "is not needed: bodies are streamed, never held";

constexpr Rule kRules[] = {
    {"access_log", AccessLog},
    {"add_header", Header},
    {"charset", nullptr, "has no counterpart"},
    {"client_body_buffer_size", nullptr, kStreams},
    {"client_body_timeout", nullptr,
     "a slow body ends with timeout.request_ms, or by limits.min_rate_bytes"},
    {"client_header_buffer_size"},
    {"client_header_timeout", HeaderTimeout},
    {"client_max_body_size", BodySize},
    {"default_type"},
    {"error_log", ErrorLog},
    {"error_page", nullptr, "error pages are UltraBalancer's own"},
    {"expires", nullptr, kFiles},
    {"gzip*", nullptr, "has no counterpart: let the backends compress"},
    {"health_check", HealthCheck},
    {"http2"},  // by the listeners
    {"if", nullptr, kRoutes},
    {"ignore_invalid_headers", nullptr, "is fixed: a malformed head is always refused"},
    {"index", nullptr, kFiles},
    {"keepalive_requests", KeepaliveRequests},
    {"keepalive_timeout", KeepaliveTimeout},
    {"large_client_header_buffers", HeaderBuffers},
    {"limit_conn", Limit},
    {"limit_conn_status", LimitStatus},
    {"limit_conn_zone"},
    {"limit_req", Limit},
    {"limit_req_status", LimitStatus},
    {"limit_req_zone"},
    {"log_format"},
    {"map", nullptr, kRoutes},
    {"multi_accept"},
    {"pid", nullptr, "it has a pid file of its own (pid_file)"},
    {"proxy_buffer_size", nullptr, kStreams},
    {"proxy_buffering", nullptr, kStreams},
    {"proxy_buffers", nullptr, kStreams},
    {"proxy_busy_buffers_size", nullptr, kStreams},
    {"proxy_cache*", nullptr, "has no counterpart: nothing is cached"},
    {"proxy_connect_timeout", ConnectTimeout},
    {"proxy_http_version"},
    {"proxy_max_temp_file_size", nullptr, kStreams},
    {"proxy_next_upstream", NextUpstream},
    {"proxy_next_upstream_tries", NextUpstreamTries},
    {"proxy_pass"},
    {"proxy_read_timeout", ReadTimeout},
    {"proxy_redirect", nullptr, "Location headers pass as they are"},
    {"proxy_request_buffering", nullptr, kStreams},
    {"proxy_ssl_*", Tls},
    {"proxy_send_timeout", nullptr, "timeout.request_ms is for both directions"},
    {"proxy_set_header", Header},
    {"real_ip_header", RealIpHeader},
    {"real_ip_recursive"},
    {"return", nullptr, kRoutes},
    {"rewrite", nullptr, kRoutes},
    {"root", nullptr, kFiles},
    {"send_timeout", nullptr, "a reader that stalls ends by limits.min_rate_bytes"},
    {"sendfile"},
    {"server_name", nullptr, "hosts are not told apart: requests for every name are taken"},
    {"server_tokens"},
    {"set_real_ip_from", RealIpFrom},
    {"ssl"},
    {"ssl_*", Tls},
    {"tcp_nodelay"},
    {"tcp_nopush"},
    {"try_files", nullptr, kFiles},
    {"types"},
    {"types_hash_max_size"},
    {"server_names_hash_bucket_size"},
    {"use"},
    {"user", User},
    {"worker_connections", WorkerConnections},
    {"worker_processes", Workers},
    {"worker_shutdown_timeout", ShutdownTimeout},
    {"worker_rlimit_nofile", nullptr, "the limit of open files is the service manager's"},
    {"zone"},
};

}  // namespace

bool NginxImport::Number(const NginxDirective& directive, std::string_view text,
                         uint64_t* out) const {
  const std::optional<uint64_t> number = ParseUnsigned(text);
  if (number && *number <= UINT32_MAX) return *out = *number, true;
  draft->Fault(directive.at,
               fmt::format("{}: \"{}\" is not a number", directive.name(), ImportText(text)));
  return false;
}

bool NginxImport::TimeMs(const NginxDirective& directive, std::string_view text,
                         uint64_t* out) const {
  if (const std::optional<uint64_t> ms = NginxTimeMs(text)) return *out = *ms, true;
  draft->Fault(directive.at, fmt::format("{}: \"{}\" is not a time (such as 30s)", directive.name(),
                                         ImportText(text)));
  return false;
}

bool NginxImport::Size(const NginxDirective& directive, std::string_view text,
                       uint64_t* out) const {
  if (const std::optional<uint64_t> size = ImportSize(text)) return *out = *size, true;
  draft->Fault(directive.at, fmt::format("{}: \"{}\" is not a size (such as 8m)", directive.name(),
                                         ImportText(text)));
  return false;
}

void NginxImport::Remark(const NginxDirective& directive, std::string_view text) const {
  draft->Remark(directive.at, fmt::format("\"{}\" {}", ImportText(directive.Text()), text));
}

std::string NginxRuleName(const NginxDirective& directive) {
  const std::string& name = directive.name();
  return name.starts_with("grpc_") ? "proxy_" + name.substr(5) : name;
}

namespace {

const Rule* RuleOf(std::string_view name) {
  const auto* rule = std::ranges::find_if(kRules, [&](const Rule& row) {
    if (!row.name.ends_with('*')) return row.name == name;
    return name.starts_with(row.name.substr(0, row.name.size() - 1));
  });
  return rule == std::end(kRules) ? nullptr : rule;
}

}  // namespace

bool NginxCarriesOver(std::string_view name) {
  const Rule* rule = RuleOf(name);
  if (rule == nullptr || rule->take == nullptr) return false;
  if (rule->take == Tls) return NginxTlsCarriesOver(name);
  if (rule->take == HealthCheck) return false;  // it is of the upstream, wherever it stands
  return rule->take != Header && rule->take != LimitStatus;
}

void ImportNginxDirective(NginxImport* import, const NginxDirective& directive) {
  const Rule* rule = RuleOf(NginxRuleName(directive));
  if (rule == nullptr) return import->Remark(directive, "has no counterpart");
  if (NginxLeadsToHttps(directive)) {
    return import->Remark(directive,
                          "is left out: tls.redirect_http is for all that comes without TLS");
  }
  if (rule->take == nullptr) {
    const bool off = directive.size() == 1 && directive.arg(0) == "off";
    if (!rule->remark.empty() && !off) import->Remark(directive, rule->remark);
    return;
  }
  if (directive.size() == 0) {
    return import->draft->Fault(directive.at,
                                fmt::format("\"{}\" needs a value", ImportText(directive.name())));
  }
  rule->take(*import, directive);
}

}  // namespace ub
