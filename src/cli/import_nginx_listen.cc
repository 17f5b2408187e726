#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;

// "80", "[::1]", "*:8080" with a host and a port; a range of ports has one address for each.
std::vector<std::string> AddressesOf(const std::string& text) {
  if (text.starts_with("unix:")) return {text};
  const size_t colon = text.rfind(':');
  const bool alone = text.find_first_not_of("0123456789-") == std::string::npos;
  std::string host = alone ? "" : text.substr(0, colon), port = alone ? text : "80";
  if (!alone && colon != std::string::npos && text.find(']', colon) == std::string::npos) {
    port = text.substr(colon + 1);
  } else if (!alone) {
    host = text;
  }
  if (host.empty() || host == "*") host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) {
    host = fmt::format("[{}]", CanonicalIp(std::string_view(host).substr(1, host.size() - 2)));
  }
  const size_t dash = std::min(port.find('-'), port.size());
  const auto first = ParseUnsigned(port.substr(0, dash));
  const auto last = ParseUnsigned(port.substr(std::min(dash + 1, port.size())));
  if (!first || !last || *first > *last || *last > 65535) return {host + ":" + port};
  std::vector<std::string> addresses;
  for (uint64_t at = *first; at <= *last; ++at) addresses.push_back(fmt::format("{}:{}", host, at));
  return addresses;
}

bool Has(const Directive& listen, std::string_view word) {
  return std::find(listen.words.begin() + 1, listen.words.end(), word) != listen.words.end();
}

bool IsOn(const Directive& server, std::string_view name) {
  const Directive* found = server.Find(name);
  return found != nullptr && found->size() > 0 && found->arg(0) == "on";
}

void ImportListen(NginxImport* import, const Directive& listen, bool redirects) {
  if (listen.size() == 0) return import->draft->Fault(listen.at, "listen needs an address");
  if (Has(listen, "quic")) return import->Remark(listen, "QUIC is not spoken: left out");
  for (std::string& address : AddressesOf(listen.arg(0))) {
    if (const Result<Endpoint> endpoint = ParseEndpoint(address, false); !endpoint) {
      return import->draft->Fault(listen.at, "listen: " + endpoint.error().detail());
    }
    NginxSocket& socket = import->sockets[address];
    if (socket.tls && redirects) continue;
    socket.taken = true;
    if (socket.proxy && !import->accepts_at) import->accepts_at = socket.proxy_at;
    if (!socket.proxy && !import->plain_at) import->plain_at = listen.at;
    if (socket.tls) {  // HTTP/2 is agreed upon there, whether it is asked for here or not
      import->draft->AddTlsListener(address, listen.at);
    } else {
      const bool http2 = socket.http2 || import->http2;
      import->draft->Add("listen", http2 ? address + " h2c" : address, listen.at);
    }
  }
}

// What a server without `listen` does.
Directive ImpliedListen(const Directive& server) {
  return {server.at, {"listen", "80"}, false, {}};
}

template <typename Take>
void ForEachListen(const Directive& server, const Take& take) {
  bool listens = false;
  for (const Directive& directive : server.block) {
    if (directive.name() != "listen") continue;
    take(directive);
    listens = true;
  }
  if (!listens && server.name() == "server") take(ImpliedListen(server));
}

template <typename Take>
void ForEachAddress(const Directive& server, const Take& take) {
  ForEachListen(server, [&](const Directive& listen) {
    if (listen.size() == 0 || Has(listen, "quic")) return;
    for (const std::string& address : AddressesOf(listen.arg(0))) take(listen, address);
  });
}

}  // namespace

void ImportNginxListeners(NginxImport* import, const Directive& server, bool redirects) {
  ForEachListen(server, [&](const Directive& listen) { ImportListen(import, listen, redirects); });
}

void CollectNginxListens(NginxImport* import, const Directive& server) {
  constexpr std::string_view kAny = "[::]:";
  constexpr size_t kMaxAddresses = 200'000;
  if (import->addresses > kMaxAddresses) return;
  const bool tls = IsOn(server, "ssl"), http2 = IsOn(server, "http2");
  ForEachAddress(server, [&](const Directive& listen, const std::string& address) {
    if (++import->addresses == kMaxAddresses + 1) {
      import->draft->Fault(listen.at, "there are more than 200000 addresses to listen at");
    }
    NginxSocket& socket = import->sockets[address];
    socket.tls |= tls || Has(listen, "ssl");
    socket.http2 |= http2 || Has(listen, "http2");
    if (!socket.proxy && Has(listen, "proxy_protocol")) {
      socket.proxy = true;
      socket.proxy_at = listen.at;
    }
    if (Has(listen, "default_server") || Has(listen, "default")) socket.default_server = &server;
    if (address.starts_with(kAny) && Has(listen, "ipv6only=off")) {
      import->draft->TakeIpv4Too(address.substr(kAny.size()));
    }
  });
}

bool NginxServes(const NginxImport& import, const Directive& server, bool tls) {
  bool serves = false;
  ForEachAddress(server, [&](const Directive&, const std::string& address) {
    serves |= import.sockets.find(address)->second.tls == tls;
  });
  return serves;
}

bool NginxIsServed(const NginxImport& import, const Directive& server) {
  bool served = false;
  ForEachAddress(server, [&](const Directive&, const std::string& address) {
    served |= import.sockets.find(address)->second.taken;
  });
  return served;
}

const Directive* NginxDefaultBeside(const NginxImport& import, const Directive& server) {
  const Directive* chosen = nullptr;
  ForEachAddress(server, [&](const Directive&, const std::string& address) {
    const auto found = import.sockets.find(address);
    if (chosen == nullptr && found != import.sockets.end()) chosen = found->second.default_server;
  });
  return chosen;
}

}  // namespace ub
