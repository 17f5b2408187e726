#include <fmt/format.h>

#include <utility>

#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

// What a listener's clients may speak besides HTTP/1.
struct ListenProtocols {
  bool tls = false, http2 = false;
};

void AddListen(NginxImport* import, const NginxDirective& listen, std::string address, const ListenProtocols& spoken) {
  if (!address.starts_with("unix:")) {
    const size_t colon = address.rfind(':');
    const bool alone = address.find_first_not_of("0123456789") == std::string::npos;
    std::string host = alone ? "" : address.substr(0, colon), port = "80";
    if (alone) port = address;
    if (!alone && colon != std::string::npos && address.find(']', colon) == std::string::npos) {
      port = address.substr(colon + 1);
    } else if (!alone) {
      host = address;
    }
    if (host.empty() || host == "*") host = "0.0.0.0";
    if (host == "localhost") host = "127.0.0.1";
    address = host + ":" + port;
  }
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
  AddListen(import, listen, listen.arg(0), spoken);
}

}  // namespace ub
