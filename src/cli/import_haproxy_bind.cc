// `bind`: listeners, and what is one for all of them here; redirects to https.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Line = HaproxyLine;

struct BindWord {
  std::string_view name;
  std::string_view remark = {};  // empty: nothing is lost
};

// Words that take a value.
constexpr BindWord kValued[] = {
    {"accept-netscaler-cip", "has no counterpart"},
    {"backlog"},
    {"expose-fd"},
    {"gid", "is not set: see to the socket's owner"},
    {"group", "is not set: see to the socket's owner"},
    {"id"},
    {"interface", "has no counterpart: every interface is listened at"},
    {"level"},
    {"maxconn", "limits are one for all listeners (max_connections)"},
    {"mode", "is not set: see to the socket's mode"},
    {"mss"},
    {"name"},
    {"namespace", "has no counterpart"},
    {"nice"},
    {"process"},
    {"proto"},
    {"shards"},
    {"tcp-ut"},
    {"thread"},
    {"uid", "is not set: see to the socket's owner"},
    {"user", "is not set: see to the socket's owner"},
};

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

// One address of a `bind`, as far as it is an address.
struct BindAddress {
  std::string unix_path{}, host{};
  std::vector<uint64_t> ports{};
};

BindAddress ReadAddress(std::string_view text) {
  const bool by_ipv6 = text.starts_with("ipv6@");
  for (const std::string_view family : {"ipv4@", "ipv6@"}) {
    if (text.starts_with(family)) text.remove_prefix(family.size());
  }
  if (text.starts_with("unix@")) text.remove_prefix(5);
  if (text.starts_with('/')) return {"unix:" + std::string(text)};
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find_first_of("@$") != std::string_view::npos) {
    return {};
  }
  std::string host(text.substr(0, colon));
  if (host.empty() || host == "*") host = by_ipv6 ? "::" : "0.0.0.0";
  if (host == "localhost") host = by_ipv6 ? "::1" : "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {{}, CanonicalIp(host), PortsOf(text.substr(colon + 1))};
}

// One address of a `bind`, which may be a range of ports.
void AddListener(HaproxyImport* import, const HaproxyBind& bind, std::string_view text) {
  SourcePosition at = bind.line.ArgAt(0);
  at.column += static_cast<uint32_t>(text.data() - bind.line.arg(0).data());
  const auto add = [&](const std::string& address) {
    if (bind.tls) return import->draft->AddTlsListener(address, at);
    import->draft->Add("listen", address + (bind.h2 ? " h2c" : ""), at);
  };
  BindAddress address = ReadAddress(text);
  if (!address.unix_path.empty()) return add(address.unix_path);
  if (address.ports.empty()) {
    return import->Remark(bind.line, "is not an address with a port: left out");
  }
  // Linux's default, which HAProxy leaves as it is; `v4v6` says the same.
  const bool both = address.host == "::" && !bind.only_ipv6;
  if (address.host.find(':') != std::string::npos) address.host = "[" + address.host + "]";
  for (const uint64_t port : address.ports) {
    add(fmt::format("{}:{}", address.host, port));
    if (both) import->draft->TakeIpv4Too(std::to_string(port));
  }
}

void AddListeners(HaproxyImport* import, const HaproxyBind& bind) {
  for (const std::string_view address : SplitTrimmed(bind.line.arg(0), ','))
    AddListener(import, bind, address);
}

// The words that are not about TLS.
void ReadWord(HaproxyImport* import, size_t* i, HaproxyBind* bind) {
  const Line& line = bind->line;
  const std::string_view word = line.arg(*i);
  if (word == "proto") bind->h2 = line.arg(*i + 1) == "h2";
  bind->accept_proxy = bind->accept_proxy || word == "accept-proxy";
  bind->only_ipv6 = bind->only_ipv6 || word == "v6only";
  if (word == "transparent") import->Remark(line, "\"transparent\" has no counterpart");
  const auto* known = std::ranges::find(kValued, word, &BindWord::name);
  if (known == std::end(kValued)) return;
  if (!known->remark.empty()) {
    import->draft->Remark(
        line.at, fmt::format("\"{} {}\" {}", word, ImportText(line.arg(*i + 1)), known->remark));
  }
  ++*i;
}

// Redirects are for all that comes without TLS here. Where some of it is balanced, listeners that
// only redirect are left out: they must not begin to answer in the clear.
bool RedirectsAll(HaproxyImport* import) {
  const bool by_pool = import->pool.front().redirect != nullptr;
  const auto redirects = [&](const HaproxyBind& bind) {
    return !bind.tls && (by_pool || bind.proxy->redirect != nullptr);
  };
  const bool alone = std::ranges::all_of(
      import->binds, [&](const HaproxyBind& bind) { return bind.tls || redirects(bind); });
  if (alone) return std::ranges::any_of(import->binds, redirects);
  std::erase_if(import->binds, [&](const HaproxyBind& bind) {
    if (!redirects(bind)) return false;
    import->Remark(bind.line,
                   "only redirects to https, which is for all listeners without TLS or for none "
                   "(tls.redirect_http): left out");
    return true;
  });
  return false;
}

// What a frontend does before it redirects, or besides.
void RemarkRedirecting(HaproxyImport* import, const HaproxyProxy& front) {
  for (const Line& line : front.section->lines) {
    const HaproxyKeyword keyword = FindHaproxyKeyword(line);
    if (line.name() == "bind" || line.name() == "mode" || line.name() == "option") continue;
    if (&line == front.redirect) continue;
    if (!keyword.name.empty() && !keyword.carried && !keyword.lost && line.name() != "use_backend")
      continue;
    import->Remark(line, "is not carried over: all that comes to this frontend is redirected");
  }
}

// Frontends that lead nowhere and redirect to https.
void TakeRedirectingFronts(HaproxyImport* import) {
  const bool in_the_clear = std::ranges::any_of(import->binds, [&](const HaproxyBind& bind) {
    return !bind.tls && bind.proxy->redirect == nullptr && import->pool.front().redirect == nullptr;
  });
  if (in_the_clear || !import->draft->ServesTls()) return;
  const std::set<const HaproxySection*> leading = import->CarriedFronts();
  for (const HaproxySection& section : import->sections) {
    if (section.kind() != "frontend" || section.IsDisabled() || leading.contains(&section))
      continue;
    HaproxyProxy proxy(section, kHaproxyFront);
    if (proxy.any_tls || !section.DefaultBackend().empty() || proxy.redirect == nullptr) continue;
    import->redirecting.push_back(std::move(proxy));
  }
  for (const HaproxyProxy& proxy : import->redirecting) {
    import->current = &proxy;
    for (const Line* line : proxy.lines) {
      if (line->name() == "bind") ImportHaproxyBind(import, *line);
    }
    RemarkRedirecting(import, proxy);
  }
}

// A PROXY head is asked of all that a peer sends, at whichever listener.
void FinishProxyHeads(HaproxyImport* import) {
  const auto has = [](const HaproxyBind& bind) { return bind.accept_proxy; };
  const bool all = std::ranges::all_of(import->binds, has);
  for (const HaproxyBind& bind : import->binds) {
    if (!bind.accept_proxy) continue;
    if (!all) {
      import->Remark(bind.line,
                     "other listeners have no accept-proxy, and here it is for all: left out; name "
                     "the peers that send PROXY heads (proxy_protocol.accept and trust)");
      continue;
    }
    import->draft->SetBool("proxy_protocol.accept", true, bind.line.at);
    for (const std::string_view address : SplitTrimmed(bind.line.arg(0), ',')) {
      if (!ReadAddress(address).unix_path.empty()) {
        import->draft->Add("proxy_protocol.trust", "unix:", bind.line.at);
        continue;
      }
      import->draft->Add("proxy_protocol.trust", "0.0.0.0/0", bind.line.at);
      import->draft->Add("proxy_protocol.trust", "::/0", bind.line.at);
    }
    import->Remark(bind.line,
                   "every peer is believed, as in HAProxy: name those that should be in "
                   "proxy_protocol.trust");
  }
}

// The strictest of what the listeners with TLS ask of clients.
void FinishClientAuth(HaproxyImport* import) {
  const HaproxyBind* strict = nullptr;
  for (const HaproxyBind& bind : import->binds) {
    if (bind.tls && bind.client_auth > (strict == nullptr ? 0 : strict->client_auth)) {
      strict = &bind;
    }
  }
  if (strict == nullptr) return;
  import->draft->Set("tls.client_auth", strict->client_auth == 2 ? "required" : "optional",
                     strict->line.at);
  for (const HaproxyBind& bind : import->binds) {
    if (!bind.tls || bind.client_auth == strict->client_auth) continue;
    import->draft->Remark(bind.line.at,
                          fmt::format("client certificates are asked for here too, as at line {}: "
                                      "`verify` is one for all listeners (tls.client_auth)",
                                      strict->line.at.line));
  }
}

}  // namespace

void ImportHaproxyBind(HaproxyImport* import, const HaproxyLine& line) {
  HaproxyBind bind{line, import->current};
  bind.tls = std::ranges::find(line.words, "ssl") != line.words.end();
  if (bind.tls) import->said_of_tls.Begin();
  for (size_t i = 1; i < line.size(); ++i) {
    if (bind.tls && line.arg(i) == "verify") {
      const std::string_view how = line.arg(i + 1);
      bind.client_auth = how == "none" ? 0 : how == "optional" ? 1 : 2;
    }
    if (!ImportHaproxyBindTls(bind.tls ? import : nullptr, line, &i)) ReadWord(import, &i, &bind);
  }
  for (const std::string_view address : SplitTrimmed(line.arg(0), ',')) {
    const std::vector<uint64_t> ports = ReadAddress(address).ports;
    if (import->port == 0 && !ports.empty()) import->port = ports[0];
  }
  import->binds.push_back(std::move(bind));
}

void FinishHaproxyBinds(HaproxyImport* import) {
  for (const HaproxyBind& bind : import->binds) {
    if (bind.tls) AddListeners(import, bind);
  }
  TakeRedirectingFronts(import);
  if (RedirectsAll(import)) {
    const Line* at = import->pool.front().redirect;
    for (const auto* proxies : {&import->fronts, &import->redirecting}) {
      for (const HaproxyProxy& proxy : *proxies) at = at == nullptr ? proxy.redirect : at;
    }
    import->draft->SetBool("tls.redirect_http", true, at->at);
  }
  for (const HaproxyBind& bind : import->binds) {
    if (!bind.tls) AddListeners(import, bind);
  }
  FinishProxyHeads(import);
  FinishClientAuth(import);
  import->said_of_tls.Remark(import->draft, "listeners with TLS");
}

}  // namespace ub
