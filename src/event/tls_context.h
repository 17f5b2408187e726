// What it takes to speak TLS: with clients, the certificates and which of them answers to which name;
// with backends, whom to believe.
//
// Built by each process that speaks it from the configuration, whose master has read and checked the files
// (InspectTls); immutable, replaced as a whole at a reload. Connections hold the one that they
// began with. Building takes about a millisecond a certificate.
#ifndef UB_EVENT_TLS_CONTEXT_H_
#define UB_EVENT_TLS_CONTEXT_H_

#include <memory>
#include <vector>

#include "core/config.h"
#include "core/config_load.h"
#include "core/shm_layout.h"
#include "core/status.h"
#include "event/transport.h"

namespace ub {

class TlsServerContext : public std::enable_shared_from_this<TlsServerContext> {
 public:
  // Error kConfig: a certificate or a setting that OpenSSL does not take.
  // `tickets`: where the keys of session tickets lie; it outlives the context. Null: no session can
  // be resumed.
  static Result<std::shared_ptr<const TlsServerContext>> Create(const TlsConfig& config,
                                                                const ShmHeader* tickets = nullptr);
  virtual ~TlsServerContext() = default;

  // The server's side of one connection; null where memory has run out.
  virtual std::unique_ptr<Transport> NewTransport() const = 0;
};

// What it takes to speak TLS with backends: whom to believe, and who we are. As above, in workers and in the controller.
class TlsClientContext : public std::enable_shared_from_this<TlsClientContext> {
 public:
  // Error kConfig, its text beginning with the key at fault.
  static Result<std::shared_ptr<const TlsClientContext>> Create(const BackendTlsConfig& config);
  virtual ~TlsClientContext() = default;
  // The client's side of one connection to `name` (a DNS name or an IP address), which the server must prove to have, unless
  // that is turned off. `h2`: only HTTP/2 is offered (ALPN, RFC 7301); whether the server took it, its protocol() says. Null
  // where memory has run out.
  virtual std::unique_ptr<Transport> NewTransport(const std::string& name, bool h2 = false) const = 0;
};

// Certificates that end within so many days are warned of.
inline constexpr int64_t kCertificateWarnDays = 14;

// When certificates end, in the order of the configuration.
struct CertificateEnd {
  std::string file, name;  // the first name that it is for
  int64_t unix_seconds = 0;
};
std::vector<CertificateEnd> CertificateEnds(const TlsConfig& config);

// What is wrong with certificates, keys and settings, and what soon will be: for
// ConfigSource::check_tls. Master and checking commands.
std::vector<TlsFault> InspectTls(const Config& config);

}  // namespace ub

#endif  // UB_EVENT_TLS_CONTEXT_H_
