#include <fmt/format.h>

#include <algorithm>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

// "10.0.0.1:80", "app", "[::1]:80", "unix:/path" as one backend's host and port.
ImportedBackend BackendOf(std::string_view text) {
  ImportedBackend backend;
  backend.host = std::string(text);
  if (text.starts_with("unix:")) return backend;
  backend.port = 80;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    backend.port = ParseUnsigned(text.substr(colon + 1)).value_or(0);
    backend.host = std::string(text.substr(0, colon));
  }
  if (backend.host.starts_with('[') && backend.host.ends_with(']')) {
    backend.host = backend.host.substr(1, backend.host.size() - 2);
  }
  return backend;
}

class UpstreamImport {
 public:
  UpstreamImport(NginxImport* import, const NginxDirective& upstream)
      : import_(*import), draft_(*import->draft), upstream_(upstream) {}
  void Run();

 private:
  void Server(const NginxDirective& server);
  // One `name=value` or word behind the address. False: the server is not taken.
  bool Parameter(const NginxDirective& server, std::string_view word, ImportedBackend* backend);
  void Breaker(const NginxDirective& server, std::string_view name, std::string_view value);
  void Algorithm(const NginxDirective& directive);
  void Hash(const NginxDirective& directive);
  void Setting(const NginxDirective& directive);

  NginxImport& import_;
  ImportDraft& draft_;
  const NginxDirective& upstream_;
  bool weighted_ = false, zoned_ = false;
  std::vector<const NginxDirective*> unbroken_;  // servers with max_fails=0
  size_t taken_ = 0;                             // servers
};

void UpstreamImport::Run() {
  zoned_ = upstream_.Find("zone") != nullptr;
  const auto is_server = [](const NginxDirective& d) { return d.name() == "server"; };
  import_.servers = static_cast<size_t>(std::ranges::count_if(upstream_.block, is_server));
  for (const NginxDirective& directive : upstream_.block) {
    if (is_server(directive)) {
      Server(directive);
    } else {
      Setting(directive);
    }
  }
  // The breaker is for all: it is off where no server has one.
  for (const NginxDirective* server : unbroken_) {
    if (unbroken_.size() == taken_) {
      draft_.SetBool("health_check.circuit_breaker.enabled", false, server->at);
    } else {
      import_.Remark(*server, "max_fails=0 is for some servers only: the breaker is for all");
    }
  }
  // nginx's weight is 1 where none is given; so it stays for backends that are added later.
  if (weighted_) draft_.SetNumber("default_weight", 1, MakePosition("nginx's default"));
}

void UpstreamImport::Server(const NginxDirective& server) {
  if (server.size() == 0) return draft_.Fault(server.at, "server needs an address");
  ImportedBackend backend = BackendOf(server.arg(0));
  if (!backend.host.starts_with("unix:") && (backend.port == 0 || backend.port > 65535)) {
    return draft_.Fault(
        server.at, fmt::format("\"{}\" has no good port (1 to 65535)", ImportText(server.arg(0))));
  }
  bool taken = true;
  for (size_t i = 1; i < server.size(); ++i) {
    taken = Parameter(server, server.arg(i), &backend) && taken;
  }
  backend.h2 = import_.grpc;
  if (!taken) {
    std::erase(unbroken_, &server);
    return;
  }
  ++taken_;
  draft_.AddBackend(backend, server.at);
}

bool UpstreamImport::Parameter(const NginxDirective& server, std::string_view word,
                               ImportedBackend* backend) {
  const size_t equals = std::min(word.find('='), word.size());
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = word.substr(std::min(equals + 1, word.size()));
  uint64_t number = 0;
  if (name == "weight") {
    if (!import_.Number(server, value, &number)) return false;
    backend->weight = std::clamp<uint64_t>(number, 1, 65535);
    weighted_ = true;
  } else if (name == "max_conns") {
    if (!import_.Number(server, value, &number)) return false;
    backend->max_connections = std::min<uint64_t>(number, 10'000'000);
    if (!zoned_ && number != 0) {
      import_.Remark(server, "max_conns: nginx counts in each worker, here it holds over all");
    }
  } else if (name == "max_fails" || name == "fail_timeout") {
    Breaker(server, name, value);
  } else if (name == "backup") {
    backend->backup = true;
  } else if (name == "slow_start") {
    if (import_.TimeMs(server, value, &number)) {
      draft_.SetNumber("health_check.slow_start_ms", number, server.at);
    }
  } else if (name == "down" || name == "drain") {
    import_.Remark(server, "left out (or add it, and drain it through the admin API)");
    return false;
  } else if (name != "resolve") {  // names are followed here anyway
    import_.Remark(server, fmt::format("\"{}\" has no counterpart", ImportText(word)));
  }
  return true;
}

// nginx counts failures of a server within a time, and leaves it alone for the same time.
void UpstreamImport::Breaker(const NginxDirective& server, std::string_view name,
                             std::string_view value) {
  uint64_t number = 0;
  if (name == "fail_timeout") {
    if (!import_.TimeMs(server, value, &number) || number == 0) return;
    draft_.SetNumber("health_check.circuit_breaker.timeout_seconds", (number + 999) / 1000,
                     server.at);
    return;
  }
  if (!import_.Number(server, value, &number)) return;
  if (import_.servers == 1) {
    import_.Remark(server, "max_fails: nginx does not heed it for the only server; not taken over");
  } else if (number == 0) {
    unbroken_.push_back(&server);
  } else {
    draft_.SetNumber("health_check.circuit_breaker.failure_threshold", number, server.at);
  }
}

void UpstreamImport::Hash(const NginxDirective& directive) {
  const std::string key = directive.size() > 0 ? directive.arg(0) : "";
  std::string ours;
  if (key == "$remote_addr" || key == "$binary_remote_addr") ours = "client_ip";
  if (key == "$request_uri" || key == "$uri" || key == "$scheme$proxy_host$request_uri" ||
      key == "$host$request_uri" || key == "$request_uri$is_args$args") {
    ours = "uri";
    if (key == "$uri")
      import_.Remark(directive, "the query counts too: hash_key uri is the whole target");
    if (key.starts_with("$host"))
      import_.Remark(directive, "the name of the host does not count here");
  }
  if (key.starts_with("$http_")) {
    ours = "header:" + key.substr(6);
    std::ranges::replace(ours, '_', '-');
  }
  if (key.starts_with("$cookie_")) ours = "cookie:" + key.substr(8);
  if (ours.empty()) {
    import_.Remark(directive,
                   "hash_key takes client_ip, a header, a cookie or the URI: requests "
                   "go round-robin");
    return;
  }
  draft_.Set("algorithm", "ip-hash", directive.at);
  draft_.Set("hash_key", ours, directive.at);
}

void UpstreamImport::Algorithm(const NginxDirective& directive) {
  const std::string& name = directive.name();
  if (name == "least_conn") return draft_.Set("algorithm", "least-connections", directive.at);
  if (name == "least_time") return draft_.Set("algorithm", "fastest-response", directive.at);
  if (name == "hash") return Hash(directive);
  if (name == "ip_hash") {
    draft_.Set("algorithm", "ip-hash", directive.at);
    import_.Remark(directive,
                   "nginx hashes the first three bytes of an IPv4 address, here it is the whole");
    return;
  }
  const bool two = directive.size() > 0 && directive.arg(0) == "two";
  const bool timed = directive.size() > 1 && directive.arg(1).starts_with("least_time");
  draft_.Set("algorithm",
             timed ? "fastest-response"
             : two ? "power-of-two"
                   : "random",
             directive.at);
}

void UpstreamImport::Setting(const NginxDirective& directive) {
  const std::string& name = directive.name();
  uint64_t number = 0;
  if (name == "least_conn" || name == "least_time" || name == "ip_hash" || name == "hash" ||
      name == "random") {
    Algorithm(directive);
  } else if (name == "zone" || name == "resolver") {
    // Counts are shared by all workers, and names are followed, without being told.
  } else if (directive.size() == 0) {
    import_.Remark(directive, "has no counterpart");
  } else if (name == "keepalive") {
    if (!import_.Number(directive, directive.arg(0), &number)) return;
    draft_.SetNumber("connection_pool.max_idle_per_backend", number, directive.at);
  } else if (name == "keepalive_timeout") {
    if (!import_.TimeMs(directive, directive.arg(0), &number)) return;
    draft_.SetNumber("connection_pool.idle_timeout_ms", number, directive.at);
  } else if (name == "keepalive_requests") {
    if (!import_.Number(directive, directive.arg(0), &number)) return;
    draft_.SetNumber("connection_pool.max_requests", std::max<uint64_t>(number, 1), directive.at);
  } else if (name == "queue") {
    if (!import_.Number(directive, directive.arg(0), &number)) return;
    draft_.SetNumber("queue.max_requests", number, directive.at);
    if (directive.size() > 1 && directive.arg(1).starts_with("timeout=") &&
        import_.TimeMs(directive, directive.arg(1).substr(8), &number)) {
      draft_.SetNumber("queue.timeout_ms", number, directive.at);
    }
  } else if (name == "sticky") {
    import_.Remark(directive,
                   "cookies are not set here: algorithm ip-hash, with hash_key "
                   "cookie:NAME, goes by a cookie of the application");
  } else {
    ImportNginxDirective(&import_, directive);
  }
}

}  // namespace

void ImportNginxUpstream(NginxImport* import, const NginxDirective& upstream) {
  UpstreamImport(import, upstream).Run();
}

}  // namespace ub
