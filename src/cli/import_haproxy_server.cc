// `server` and `default-server`: words behind an address, of which the later stands.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

// A word of a server: whether a value is behind it, and what to say of it; empty: nothing.
struct ServerWord {
  std::string_view name;
  bool has_value = false;
  std::string_view remark = {};
};

constexpr std::string_view kProxyHeads = "PROXY heads are not sent to backends";
constexpr std::string_view kRevoked = "there are no revocation lists";

constexpr ServerWord kWords[] = {
    {"addr", true, "is not asked for: a check goes to the address of the requests"},
    {"agent-addr", true},
    {"agent-check", false, "has no counterpart: backends cannot tell their weight"},
    {"agent-inter", true},
    {"agent-port", true},
    {"agent-send", true},
    {"allow-0rtt"},
    {"alpn", true},
    {"backup"},
    {"ca-file", true},
    {"check"},
    {"check-alpn", true},
    {"check-pool-conn-name", true},
    {"check-proto", true},
    {"check-reuse-pool"},
    {"check-send-proxy", false, kProxyHeads},
    {"check-sni", true},
    {"check-ssl"},
    {"check-via-socks4"},
    {"ciphers", true},
    {"ciphersuites", true},
    {"client-sigalgs", true},
    {"cookie", true},
    {"crl-file", true, kRevoked},
    {"crt", true},
    {"curves", true},
    {"disabled"},
    {"downinter", true, "checks have one interval"},
    {"error-limit", true},
    {"fall", true},
    {"fastinter", true, "checks have one interval"},
    {"force-sslv3"},
    {"force-tlsv10"},
    {"force-tlsv11"},
    {"force-tlsv12"},
    {"force-tlsv13"},
    {"guid", true},
    {"hash-key", true},
    {"id", true},
    {"idle-ping", true},
    {"init-addr", true, "names are looked up at the start"},
    {"init-state", true},
    {"inter", true},
    {"interface", true, "has no counterpart: the system chooses the source address"},
    {"log-bufsize", true},
    {"log-proto", true},
    {"max-reuse", true},
    {"maxconn", true},
    {"maxqueue", true},
    {"minconn", true, "is not asked for: a backend's limit is fixed"},
    {"namespace", true, "has no counterpart"},
    {"no-sslv3"},
    {"no-tlsv10"},
    {"no-tlsv11"},
    {"no-tlsv12"},
    {"no-tlsv13"},
    {"non-stick"},
    {"npn", true},
    {"observe", true},
    {"on-error", true},
    {"on-marked-down", true, "requests under way are let finish"},
    {"on-marked-up", true, "has no counterpart"},
    {"pool-conn-name", true},
    {"pool-low-conn", true},
    {"pool-max-conn", true},
    {"pool-purge-delay", true},
    {"port", true, "is not asked for: a check goes to the port of the requests"},
    {"proto", true},
    {"proxy-v2-options", true},
    {"redir", true, "has no counterpart"},
    {"resolve-net", true},
    {"resolve-opts", true},
    {"resolve-prefer", true},
    {"resolvers", true},
    {"rise", true},
    {"send-proxy", false, kProxyHeads},
    {"send-proxy-v2", false, kProxyHeads},
    {"send-proxy-v2-ssl", false, kProxyHeads},
    {"send-proxy-v2-ssl-cn", false, kProxyHeads},
    {"shard", true},
    {"sigalgs", true},
    {"slowstart", true},
    {"sni", true},
    {"socks4", true, "has no counterpart"},
    {"source", true, "has no counterpart: the system chooses the source address"},
    {"ssl"},
    {"ssl-max-ver", true},
    {"ssl-min-ver", true},
    {"ssl-reuse"},
    {"stick"},
    {"strict-maxconn"},
    {"tcp-ut", true},
    {"tfo"},
    {"tls-tickets"},
    {"track", true, "each backend is checked by itself"},
    {"usesrc", true},
    {"verify", true},
    {"verifyhost", true},
    {"weight", true},
    {"ws", true},
};

std::string WhoseWord(const HaproxyLine& server, bool own) {
  return own ? "server " + ImportText(server.arg(0)) : "default-server";
}

// Takes the words from argument `i` on. A later word replaces an earlier one, and "no-x" forgets
// it.
void TakeWords(HaproxyImport* import, const HaproxyLine& line, size_t i, HaproxyWords* words) {
  for (; i < line.size(); ++i) {
    std::string name(line.arg(i));
    const SourcePosition at = line.ArgAt(i);
    const auto* known = std::ranges::find(kWords, std::string_view(name), &ServerWord::name);
    if (known != std::end(kWords)) {
      (*words)[name] = {known->has_value ? std::string(line.arg(++i)) : "", at};
      continue;
    }
    if (name == "enabled") name = "no-disabled";
    const std::string without = name.starts_with("no-") ? name.substr(3) : "";
    if (std::ranges::find(kWords, std::string_view(without), &ServerWord::name) !=
        std::end(kWords)) {
      words->erase(without);
      continue;
    }
    const bool own = line.name() != "default-server";
    import->draft->Remark(
        at, fmt::format("{}: \"{}\" has no counterpart", WhoseWord(line, own), ImportText(name)));
  }
}

// Settings that are one for all servers here.
struct PoolSetting {
  std::string_view word, key;
  bool is_time;
};

constexpr PoolSetting kPoolSettings[] = {
    {"error-limit", "health_check.circuit_breaker.failure_threshold", false},
    {"fall", "health_check.max_failures", false},
    {"inter", "health_check.interval_ms", true},
    {"max-reuse", "connection_pool.max_requests", false},
    {"maxqueue", "queue.max_requests", false},
    {"pool-max-conn", "connection_pool.max_idle_per_backend", false},
    {"pool-purge-delay", "connection_pool.idle_timeout_ms", true},
    {"rise", "health_check.min_successes", false},
    {"slowstart", "health_check.slow_start_ms", true},
};

class ServerImport {
 public:
  ServerImport(HaproxyImport* import, const HaproxyLine& line)
      : import_(*import), draft_(*import->draft), line_(line), words_(import->default_server) {}
  void Run();

 private:
  // "10.0.0.1:80", "app:80", "[::1]:80", "::1:80", "unix@/path", "/path". False: a fault, or not
  // taken.
  bool Address(std::string_view text);
  const HaproxyWord* Find(std::string_view name) const {
    const auto found = words_.find(name);
    return found == words_.end() ? nullptr : &found->second;
  }
  // What is the server's own.
  void Settings();
  void PoolSettings();
  void Remarks();

  HaproxyImport& import_;
  ImportDraft& draft_;
  const HaproxyLine& line_;
  HaproxyWords words_;
  ImportedBackend backend_;
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

void ServerImport::Settings() {
  uint64_t number = 0;
  const HaproxyWord* weight = Find("weight");
  if (weight != nullptr && import_.Number(line_, weight->value, &number)) backend_.weight = number;
  const HaproxyWord* limit = Find("maxconn");
  if (limit != nullptr && import_.Number(line_, limit->value, &number) && number > 0) {
    backend_.max_connections = std::min<uint64_t>(number, 10'000'000);
    if (!import_.limited) import_.queue_at = limit->at;
    import_.limited = true;
  }
  backend_.backup = Find("backup") != nullptr;
  if (const HaproxyWord* proto = Find("proto")) {
    backend_.h2 = proto->value == "h2";
    if (!backend_.h2) {
      import_.Remark(line_, "has a proto other than h2: it is spoken to in HTTP/1.1");
    }
  }
}

void ServerImport::PoolSettings() {
  import_.said_of_servers.Begin();
  for (const PoolSetting& setting : kPoolSettings) {
    const HaproxyWord* word = Find(setting.word);
    if (word == nullptr || word->value == "-1") continue;
    uint64_t number = 0;
    if (!(setting.is_time ? import_.TimeMs(line_, word->value, &number)
                          : import_.Number(line_, word->value, &number))) {
      continue;
    }
    // To HAProxy no limit, to us no queue.
    if (setting.word == "maxqueue" && number == 0) continue;
    draft_.SetNumber(setting.key, number, word->at);
    import_.said_of_servers.Add(std::string(setting.word), word->at);
  }
}

void ServerImport::Remarks() {
  for (const auto& [name, word] : words_) {
    const auto* known = std::ranges::find(kWords, std::string_view(name), &ServerWord::name);
    if (known == std::end(kWords) || known->remark.empty()) continue;
    const bool own = word.at.line == line_.at.line;
    draft_.Remark(word.at,
                  fmt::format("{}: \"{}\" {}", WhoseWord(line_, own), name, known->remark));
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
  TakeWords(&import_, line_, templated ? 3 : 2, &words_);
  Settings();
  if (!taken) return;
  if (Find("disabled") != nullptr || backend_.weight == 0) {
    return import_.Remark(line_, "left out (or add it, and drain it through the admin API)");
  }
  Remarks();
  PoolSettings();
  (Find("check") != nullptr ? import_.checked : import_.unchecked) = true;
  ImportHaproxyServerTls(&import_, line_, words_);
  import_.servers.emplace_back(backend_, line_.at);
}

}  // namespace

void ImportHaproxyServer(HaproxyImport* import, const HaproxyLine& line) {
  ServerImport(import, line).Run();
}

void ImportHaproxyDefaultServer(HaproxyImport* import, const HaproxyLine& line) {
  TakeWords(import, line, 0, &import->default_server);
}

// Of the backups HAProxy takes the first that is up, unless there is `option allbackups`.
void FinishHaproxyServers(HaproxyImport* import) {
  auto& servers = import->servers;
  const bool all = import->pool.front().Find("option allbackups") != nullptr;
  const auto is_backup = [](const auto& server) { return server.first.backup; };
  if (!servers.empty() && std::ranges::all_of(servers, is_backup)) {
    for (size_t i = 0; i < (all ? servers.size() : 1); ++i) {
      servers[i].first.backup = false;
      import->draft->Remark(servers[i].second,
                            "is a backup of no other server, and serves: `backup` was taken off");
    }
  }
  const auto first = std::ranges::find_if(servers, is_backup);
  const auto second =
      first == servers.end() ? first : std::find_if(first + 1, servers.end(), is_backup);
  if (!all && second != servers.end()) {
    import->draft->Remark(second->second,
                          "all backups share the requests; in HAProxy the first that is up has "
                          "them, for there is no `option allbackups`");
  }
  bool weighted = false;
  for (const auto& [backend, at] : servers) {
    weighted = weighted || backend.weight.has_value();
    import->draft->AddBackend(backend, at);
  }
  if (weighted) {
    import->draft->SetNumber("default_weight", 1, MakePosition("HAProxy's default"));
  }
  import->said_of_servers.Remark(import->draft, "servers");
}

}  // namespace ub
