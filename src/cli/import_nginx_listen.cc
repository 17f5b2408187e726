#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

// What a listener's clients may speak besides HTTP/1.
struct ListenProtocols {
  bool tls = false, http2 = false;
};

// "80", "[::1]", "*:8080", "unix:/path" with a host and a port.
std::string AddressOf(const std::string& text) {
  if (text.starts_with("unix:")) return text;
  const size_t colon = text.rfind(':');
  const bool alone = text.find_first_not_of("0123456789") == std::string::npos;
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
  return host + ":" + port;
}

void AddListen(NginxImport* import, const NginxDirective& listen, const ListenProtocols& spoken) {
  std::string address = AddressOf(listen.arg(0));
  if (const Result<Endpoint> endpoint = ParseEndpoint(address, false); !endpoint) {
    return import->draft->Fault(listen.at, "listen: " + endpoint.error().detail());
  }
  // By TLS it is agreed upon, whether it is asked for here or not.
  if (spoken.tls) return import->draft->AddTlsListener(address, listen.at);
  if (spoken.http2) address += " h2c";
  import->draft->Add("listen", std::move(address), listen.at);
}

// False: the listener is not taken.
bool ListenWord(NginxImport* import, const NginxDirective& listen, const std::string& word,
                ListenProtocols* spoken) {
  if (word == "quic") {
    import->Remark(listen, "QUIC is not spoken: left out");
    return false;
  }
  if (word == "ssl") {
    spoken->tls = true;
  } else if (word == "proxy_protocol") {
    import->accepts_proxy = true;
    import->accepts_at = listen.at;
  } else if (word == "http2") {
    spoken->http2 = true;
  }
  return true;  // the others are about the socket: default_server, backlog=…, reuseport
}

}  // namespace

void ImportNginxListen(NginxImport* import, const NginxDirective& listen, bool tls) {
  if (listen.size() == 0) return import->draft->Fault(listen.at, "listen needs an address");
  ListenProtocols spoken{.tls = tls};
  for (size_t i = 1; i < listen.size(); ++i) {
    if (!ListenWord(import, listen, listen.arg(i), &spoken)) return;
  }
  AddListen(import, listen, spoken);
}

void CollectNginxListens(NginxImport* import, const NginxDirective& server) {
  constexpr std::string_view kAny = "[::]:";
  for (const NginxDirective& listen : server.block) {
    if (listen.name() != "listen" || std::ranges::count(listen.words, "ipv6only=off") == 0)
      continue;
    const std::string address = AddressOf(listen.arg(0));
    if (address.starts_with(kAny)) import->draft->TakeIpv4Too(address.substr(kAny.size()));
  }
}

}  // namespace ub
