// The side of TLS that speaks with backends.
#include <arpa/inet.h>
#include <fmt/format.h>

#include "event/tls_context.h"
#include "event/tls_openssl.h"
#include "event/tls_transport.h"

namespace ub {
namespace {

bool IsIp(const std::string& name) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 || inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

class ClientContext final : public TlsClientContext {
 public:
  // "KEY: what is wrong"; empty: nothing.
  std::string Build(const BackendTlsConfig& config);
  std::unique_ptr<Transport> NewTransport(const std::string& name, bool h2) const override;

 private:
  SslContextPtr context_;
  bool verify_ = true;
};

std::string ClientContext::Build(const BackendTlsConfig& config) {
  verify_ = config.verify;
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) return "backend_tls.enabled: out of memory";
  std::string wrong = ApplyTlsSettings(TlsConfig(), context_.get());
  if (!wrong.empty()) return wrong;
  SSL_CTX_set_verify(context_.get(), verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (config.ca_file.empty()) {
    if (verify_) SSL_CTX_set_default_verify_paths(context_.get());
  } else {
    const std::vector<X509Ptr> authorities = ParseCertificates(config.ca_pem);
    if (authorities.empty()) {
      return fmt::format("backend_tls.ca_file: {} has no certificate in it, or a broken one (PEM is expected)", config.ca_file);
    }
    X509_STORE* const store = SSL_CTX_get_cert_store(context_.get());
    for (const X509Ptr& authority : authorities) X509_STORE_add_cert(store, authority.get());
    // A certificate that is listed itself is believed too, whoever signed it.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context_.get()), X509_V_FLAG_PARTIAL_CHAIN);
  }
  ERR_clear_error();
  if (config.own.certificate.empty()) return {};
  bool in_key = false;
  const std::optional<TlsCertificate> own = ParseCertificate(config.own, &wrong, &in_key);
  if (!own) {
    return fmt::format("backend_tls.{}: {} {}", in_key ? "key" : "certificate",
                       in_key ? config.own.key : config.own.certificate, wrong);
  }
  bool good = SSL_CTX_use_certificate(context_.get(), own->leaf.get()) == 1 &&
              SSL_CTX_use_PrivateKey(context_.get(), own->key.get()) == 1;
  for (const X509Ptr& link : own->chain) good = good && SSL_CTX_add1_chain_cert(context_.get(), link.get()) == 1;
  return good ? "" : fmt::format("backend_tls.certificate: {}", OpenSslError());
}

std::unique_ptr<Transport> ClientContext::NewTransport(const std::string& name, bool h2) const {
  SslPtr ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return nullptr;
  SSL_set_connect_state(ssl.get());
  constexpr unsigned char kOffer[] = {2, 'h', '2'};
  if (h2 && SSL_set_alpn_protos(ssl.get(), kOffer, sizeof kOffer) != 0) return nullptr;
  const bool ip = IsIp(name);
  // RFC 6066 section 3: an address is no server name.
  if (!ip) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (verify_) {
    const int good = ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str())
                        : SSL_set1_host(ssl.get(), name.c_str());
    if (good != 1) return nullptr;
  }
  return MakeTlsTransport(std::move(ssl), shared_from_this());
}

}  // namespace

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::Create(const BackendTlsConfig& config) {
  auto context = std::make_shared<ClientContext>();
  std::string wrong = context->Build(config);
  if (!wrong.empty()) return Fail(Status::Config(std::move(wrong)));
  return std::shared_ptr<const TlsClientContext>(std::move(context));
}

}  // namespace ub
