#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

// Words behind a server's address that take a value, and what to say of the value; empty: nothing.
struct ServerWord {
  std::string_view name;
  bool has_value;
  std::string_view remark;
};

constexpr ServerWord kWords[] = {
    {"addr", true, "is not asked for: a check goes to the address of the requests"},
    {"agent-addr", true, ""},
    {"agent-check", false, "has no counterpart: backends cannot tell their weight"},
    {"agent-inter", true, ""},
    {"agent-port", true, ""},
    {"check-send-proxy", false, "PROXY heads are not sent to backends"},
    {"cookie", true, ""},
    {"enabled", false, ""},
    {"id", true, ""},
    {"init-addr", true, "names are looked up at the start"},
    {"no-check", false, ""},
    {"observe", true, ""},
    {"on-error", true, ""},
    {"on-marked-down", true, "requests under way are let finish"},
    {"on-marked-up", true, "has no counterpart"},
    {"pool-low-conn", true, ""},
    {"port", true, "is not asked for: a check goes to the port of the requests"},
    {"redir", true, "has no counterpart"},
    {"resolve-net", true, ""},
    {"resolve-opts", true, ""},
    {"resolve-prefer", true, ""},
    {"resolvers", true, ""},
    {"send-proxy", false, "PROXY heads are not sent to backends"},
    {"send-proxy-v2", false, "PROXY heads are not sent to backends"},
    {"source", true, "has no counterpart: the system chooses the source address"},
    {"stick", false, ""},
    {"tcp-ut", true, ""},
    {"tfo", false, ""},
    {"track", true, "each backend is checked by itself"},
};

class ServerImport {
 public:
  ServerImport(HaproxyImport* import, const HaproxyLine& line)
      : import_(*import), draft_(*import->draft), line_(line) {}
  void Run();

 private:
  // "10.0.0.1:80", "app:80", "[::1]:80", "::1:80", "unix@/path", "/path". False: a fault, or not
  // taken.
  bool Address(std::string_view text);
  // The words from `words[*i]` on that belong together.
  void Word(const std::vector<std::string>& words, size_t* i);
  bool Setting(std::string_view name, std::string_view value);
  void Time(std::string_view path, std::string_view value) {
    uint64_t ms = 0;
    if (import_.TimeMs(line_, value, &ms)) draft_.SetNumber(path, ms, line_.at);
  }
  void Number(std::string_view path, std::string_view value) {
    uint64_t number = 0;
    if (import_.Number(line_, value, &number)) draft_.SetNumber(path, number, line_.at);
  }

  HaproxyImport& import_;
  ImportDraft& draft_;
  const HaproxyLine& line_;
  ImportedBackend backend_;
  std::set<std::string, std::less<>> seen_;
  HaproxyServerTls tls_;
  bool check_ = false, disabled_ = false;
};

bool ServerImport::Address(std::string_view text) {
  for (const std::string_view family : {"ipv4@", "ipv6@"}) {
    if (text.starts_with(family)) text.remove_prefix(family.size());
  }
  if (text.starts_with("unix@")) text.remove_prefix(5);
  if (text.starts_with('/')) {
    backend_.host = "unix:" + std::string(text);
    return true;
  }
  if (text.find('@') != std::string_view::npos || text.find('$') != std::string_view::npos) {
    import_.Remark(line_, "has an address of a kind that is not known here, and was left out");
    return false;
  }
  const size_t colon = text.rfind(':');
  const bool bracketed =
      colon != std::string_view::npos && text.find(']', colon) != std::string_view::npos;
  std::string_view host = text.substr(0, bracketed ? text.size() : colon), port;
  if (!bracketed && colon != std::string_view::npos) port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  backend_.host = std::string(host);
  if (port.empty() || port[0] == '+' || port[0] == '-') {
    if (import_.port == 0 || !port.empty()) {
      import_.Remark(line_, "its port is the one that the client came to: left out, give it one");
      return false;
    }
    import_.Remark(line_, fmt::format("has no port: the listener's, {}, was taken", import_.port));
    backend_.port = import_.port;
    return true;
  }
  const std::optional<uint64_t> number = ParseUnsigned(port);
  if (number && *number >= 1 && *number <= 65535) return backend_.port = *number, true;
  draft_.Fault(line_.at, fmt::format("\"{}\" has no good port (1 to 65535)", ImportText(text)));
  return false;
}

// False: not a word with a meaning here.
bool ServerImport::Setting(std::string_view name, std::string_view value) {
  uint64_t number = 0;
  if (name == "weight") {
    if (!import_.Number(line_, value, &number)) return true;
    backend_.weight = number;
    import_.weighted = true;
  } else if (name == "maxconn") {
    if (!import_.Number(line_, value, &number)) return true;
    backend_.max_connections = std::min<uint64_t>(number, 10'000'000);
    if (number > 0 && !import_.limited) import_.queue_at = line_.at;
    import_.limited = import_.limited || number > 0;
  } else if (name == "maxqueue") {
    Number("queue.max_requests", value);
  } else if (name == "inter") {
    Time("health_check.interval_ms", value);
  } else if (name == "fall") {
    Number("health_check.max_failures", value);
  } else if (name == "rise") {
    Number("health_check.min_successes", value);
  } else if (name == "slowstart") {
    Time("health_check.slow_start_ms", value);
  } else if (name == "error-limit") {
    Number("health_check.circuit_breaker.failure_threshold", value);
  } else if (name == "pool-max-conn") {
    if (value != "-1") Number("connection_pool.max_idle_per_backend", value);
  } else if (name == "max-reuse") {
    if (value != "-1") Number("connection_pool.max_requests", value);
  } else if (name == "pool-purge-delay") {
    Time("connection_pool.idle_timeout_ms", value);
  } else if (name == "fastinter" || name == "downinter") {
    draft_.Remark(line_.at, fmt::format("{}: checks have one interval", name));
  } else {
    return false;
  }
  return true;
}

void ServerImport::Word(const std::vector<std::string>& words, size_t* i) {
  const std::string& name = words[(*i)++];
  const std::string value = *i < words.size() ? words[*i] : "";
  const bool first = seen_.insert(name).second;
  if (const size_t taken = ImportHaproxyServerTls(import_, line_, first, name, value, &tls_)) {
    *i += taken - 1;
    return;
  }
  if (name == "check") {
    check_ = check_ || first;
  } else if (name == "no-check") {
    check_ = false;
    seen_.insert("check");
  } else if (name == "backup") {
    backend_.backup = true;
  } else if (name == "proto") {
    backend_.h2 = value == "h2";
    ++*i;
    if (!backend_.h2) import_.Remark(line_, "has a proto other than h2: it is spoken to in HTTP/1.1");
  } else if (name == "disabled") {
    disabled_ = true;
  } else if (const auto known =
                 std::ranges::find(kWords, std::string_view(name), &ServerWord::name);
             known != std::end(kWords)) {
    if (known->has_value) ++*i;
    if (!known->remark.empty() && first) {
      draft_.Remark(line_.at, fmt::format("server {}: \"{}\" {}", ImportText(line_.arg(0)), name,
                                          known->remark));
    }
  } else if (!first) {
    ++*i;  // the server's own word stands, not that of default-server
  } else if (Setting(name, value)) {
    ++*i;
  } else {
    draft_.Remark(line_.at, fmt::format("server {}: \"{}\" has no counterpart",
                                        ImportText(line_.arg(0)), ImportText(name)));
  }
}

void ServerImport::Run() {
  const bool templated = line_.name() == "server-template";
  if (line_.size() < (templated ? 3 : 2)) {
    return draft_.Fault(line_.at, fmt::format("{} needs a name and an address", line_.name()));
  }
  const bool taken = Address(line_.arg(templated ? 2 : 1));
  if (templated) {
    import_.Remark(line_, "is one name here: every address of it is a backend");
  } else {
    backend_.name = std::string(line_.arg(0));
  }
  std::vector<std::string> words(line_.words.begin() + (templated ? 4 : 3), line_.words.end());
  words.insert(words.end(), import_.default_server.begin(), import_.default_server.end());
  for (size_t i = 0; i < words.size();) Word(words, &i);
  (check_ ? import_.checked : import_.unchecked) = true;
  if (!taken) return;
  if (disabled_ || backend_.weight == 0) {
    return import_.Remark(line_, "left out (or add it, and drain it through the admin API)");
  }
  FinishHaproxyServerTls(&import_, line_, tls_);
  draft_.AddBackend(backend_, line_.at);
}

// "8000-8003" as its ports; empty: no port.
std::vector<uint64_t> PortsOf(std::string_view text) {
  const size_t dash = text.find('-');
  const std::optional<uint64_t> first = ParseUnsigned(text.substr(0, dash));
  const std::optional<uint64_t> last =
      dash == std::string_view::npos ? first : ParseUnsigned(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last < *first || *last > 65535 || *last - *first > 255) {
    return {};
  }
  std::vector<uint64_t> ports;
  for (uint64_t port = *first; port <= *last; ++port) ports.push_back(port);
  return ports;
}

// One address of a `bind`, which may be a range of ports. `only_ipv6`: of [::], `v6only`.
void BindOne(HaproxyImport* import, const HaproxyLine& line, std::string_view text, bool tls,
             bool only_ipv6) {
  const auto add = [&](std::string address) {
    if (tls) return import->draft->AddTlsListener(address, line.at);
    import->draft->Add("listen", std::move(address), line.at);
  };
  const bool by_ipv6 = text.starts_with("ipv6@");
  for (const std::string_view family : {"ipv4@", "ipv6@"}) {
    if (text.starts_with(family)) text.remove_prefix(family.size());
  }
  if (text.starts_with("unix@")) text.remove_prefix(5);
  if (text.starts_with('/')) {
    add("unix:" + std::string(text));
    return;
  }
  const size_t colon = text.rfind(':');
  std::string host(text.substr(0, std::min(colon, text.size())));
  const bool odd =
      text.find('@') != std::string_view::npos || text.find('$') != std::string_view::npos;
  const std::vector<uint64_t> ports = odd || colon == std::string_view::npos
                                          ? std::vector<uint64_t>()
                                          : PortsOf(text.substr(colon + 1));
  if (ports.empty()) return import->Remark(line, "is not an address with a port: left out");
  if (host.empty() || host == "*") host = by_ipv6 ? "::" : "0.0.0.0";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  host = CanonicalIp(host);
  // Linux's default, which HAProxy leaves as it is; `v4v6` says the same.
  const bool both = host == "::" && !only_ipv6;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  if (import->port == 0) import->port = ports[0];
  for (const uint64_t port : ports) {
    add(fmt::format("{}:{}", host, port));
    if (both) import->draft->TakeIpv4Too(std::to_string(port));
  }
}

}  // namespace

void ImportHaproxyServer(HaproxyImport* import, const HaproxyLine& line) {
  ServerImport(import, line).Run();
}

void ImportHaproxyBind(HaproxyImport* import, const HaproxyLine& line) {
  constexpr std::string_view kValued[] = {
      "backlog",   "group", "id",      "interface", "level",  "maxconn", "mode", "mss",  "name",
      "namespace", "nice",  "process", "tcp-ut",    "thread", "uid",     "gid",  "user", "shards"};
  const bool tls = std::ranges::find(line.words, "ssl") != line.words.end();
  bool proxy = false, by_network = false, only_ipv6 = false;
  for (size_t i = 1; i < line.size(); ++i) {
    const std::string_view word = line.arg(i);
    if (ImportHaproxyBindTls(tls ? import : nullptr, line, &i)) continue;
    proxy = proxy || word == "accept-proxy";
    by_network = by_network || word == "accept-netscaler-cip";
    only_ipv6 = only_ipv6 || word == "v6only";
    if (std::ranges::find(kValued, word) != std::end(kValued)) ++i;
  }
  if (by_network) import->Remark(line, "accept-netscaler-cip has no counterpart");
  if (proxy) {
    import->draft->SetBool("proxy_protocol.accept", true, line.at);
    import->draft->Add("proxy_protocol.trust", "0.0.0.0/0", line.at);
    import->draft->Add("proxy_protocol.trust", "::/0", line.at);
    import->Remark(line,
                   "every peer is believed, as in HAProxy: name those that should be in "
                   "proxy_protocol.trust");
  }
  for (const std::string_view address : SplitTrimmed(line.arg(0), ','))
    BindOne(import, line, address, tls, only_ipv6);
}

}  // namespace ub
