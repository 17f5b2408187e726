#include "event/tls_context.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/config_text.h"
#include "core/ticket_keys.h"
#include "event/tls_openssl.h"
#include "event/tls_transport.h"

namespace ub {
namespace {

constexpr long kMaxSessionSeconds = 7 * 24 * 3600;  // RFC 8446 section 4.6.1
constexpr int kIvBytes = 16;

// A name as a client asks for it, against one of a certificate: "*" stands for one whole label, the
// first.
bool NameFits(std::string_view pattern, std::string_view name) {
  if (!pattern.starts_with("*.")) return pattern == name;
  const size_t dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && name.substr(dot) == pattern.substr(1);
}

class ServerContext final : public TlsServerContext {
 public:
  Status Build(const TlsConfig& config, const ShmHeader* tickets);
  std::unique_ptr<Transport> NewTransport() const override;

 private:
  // Certificates by their places, at most one of each kind of key.
  using Combination = std::vector<size_t>;
  Combination Choose(std::string_view name, size_t first) const;
  Result<SSL_CTX*> ContextFor(const Combination& combination);
  SSL_CTX* Find(std::string_view name) const;

  // Tickets, the clients' certificates and OCSP; not empty: what is wrong.
  std::string Furnish(SSL_CTX* context);
  static int OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int sealing);
  static int OnStatus(SSL* ssl, void* self);
  static int OnServerName(SSL* ssl, int* alert, void* self);
  static int OnAlpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void* self);

  TlsConfig config_;  // without what the files held
  std::vector<TlsCertificate> certificates_;
  std::vector<std::pair<Combination, SslContextPtr>> contexts_;
  std::unordered_map<std::string, SSL_CTX*> by_name_;  // "example.org", "*.example.org"
  std::string alpn_;                                   // as OpenSSL wants it: lengths and names
  SSL_CTX* default_ = nullptr;
  const ShmHeader* tickets_ = nullptr;
};

Status ServerContext::Build(const TlsConfig& config, const ShmHeader* tickets) {
  tickets_ = config.session_tickets ? tickets : nullptr;
  config_ = config;
  config_.certificates.clear();
  for (const std::string& protocol : config.alpn) {
    alpn_ += static_cast<char>(protocol.size());
    alpn_ += protocol;
  }
  for (const CertificateConfig& entry : config.certificates) {
    std::string wrong;
    bool in_key = false;
    std::optional<TlsCertificate> parsed = ParseCertificate(entry, &wrong, &in_key);
    if (!parsed)
      return Status::Config(fmt::format("{} {}", in_key ? entry.key : entry.certificate, wrong));
    certificates_.push_back(std::move(*parsed));
  }
  for (size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i].names) {
      if (by_name_.contains(name)) continue;
      const Result<SSL_CTX*> context = ContextFor(Choose(name, i));
      if (!context) return context.error();
      by_name_.emplace(name, *context);
    }
  }
  // Clients that name nobody we know get the first one, with the other kinds of key that it has
  // beside it.
  const std::vector<std::string>& names = certificates_.front().names;
  const Result<SSL_CTX*> context =
      ContextFor(names.empty() ? Combination{0} : Choose(names.front(), 0));
  if (!context) return context.error();
  default_ = *context;
  return Status::Ok();
}

// An exact name goes before a wildcard, what is given first before what is given later.
ServerContext::Combination ServerContext::Choose(std::string_view name, size_t first) const {
  Combination chosen{first};
  for (const bool exact : {true, false}) {
    for (size_t i = 0; i < certificates_.size(); ++i) {
      const TlsCertificate& each = certificates_[i];
      const bool fits = std::ranges::any_of(each.names, [&](const std::string& own) {
        return exact ? own == name : NameFits(own, name);
      });
      const bool has_kind = std::ranges::any_of(
          chosen, [&](size_t c) { return certificates_[c].key_type == each.key_type; });
      if (fits && !has_kind) chosen.push_back(i);
    }
  }
  std::ranges::sort(chosen);
  return chosen;
}

Result<SSL_CTX*> ServerContext::ContextFor(const Combination& combination) {
  for (const auto& [known, context] : contexts_) {
    if (known == combination) return context.get();
  }
  SslContextPtr made(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = made.get();
  if (context == nullptr) return Fail(Status::Config("out of memory"));
  std::string wrong = ApplyTlsSettings(config_, context);
  if (!wrong.empty()) return Fail(Status::Config(std::move(wrong)));
  for (const size_t i : combination) {
    const TlsCertificate& each = certificates_[i];
    bool good = SSL_CTX_use_certificate(context, each.leaf.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, each.key.get()) == 1;
    for (const X509Ptr& link : each.chain)
      good = good && SSL_CTX_add1_chain_cert(context, link.get()) == 1;
    if (!good) {
      return Fail(Status::Config(fmt::format("the certificate for {}: {}",
                                             each.names.empty() ? "no name" : each.names.front(),
                                             OpenSslError())));
    }
  }
  wrong = Furnish(context);
  if (!wrong.empty()) return Fail(Status::Config(std::move(wrong)));
  SSL_CTX_set_tlsext_servername_callback(context, &ServerContext::OnServerName);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  SSL_CTX_set_alpn_select_cb(context, &ServerContext::OnAlpn, this);
  contexts_.emplace_back(combination, std::move(made));
  return context;
}

std::string ServerContext::Furnish(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  if (tickets_ == nullptr) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  } else {
    // One a handshake: a connection has one successor in the long run, and each costs a record and a system call.
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &ServerContext::OnTicket);
    SSL_CTX_set_timeout(context,
                        std::min<long>(3L * config_.ticket_rotation_seconds, kMaxSessionSeconds));
  }
  // A session brings along whom the client proved to be: under another authority, or where now a
  // proof is asked for, it must not be resumed.
  const std::string rules =
      (config_.client_optional ? "optional " : "required ") + config_.client_ca_pem;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned digest_size = 0;
  EVP_Digest(rules.data(), rules.size(), digest.data(), &digest_size, EVP_sha256(), nullptr);
  SSL_CTX_set_session_id_context(context, digest.data(), digest_size);
  SSL_CTX_set_tlsext_status_cb(context, &ServerContext::OnStatus);
  SSL_CTX_set_tlsext_status_arg(context, this);
  if (config_.client_ca_pem.empty()) return {};
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  const std::vector<X509Ptr> authorities = ParseCertificates(config_.client_ca_pem);
  if (authorities.empty()) return "tls.client_ca: no certificate is in it, or a broken one";
  for (const X509Ptr& authority : authorities) {
    X509_STORE_add_cert(store, authority.get());
    SSL_CTX_add_client_CA(context, authority.get());
  }
  ERR_clear_error();
  SSL_CTX_set_verify(
      context, SSL_VERIFY_PEER | (config_.client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
      nullptr);
  return {};
}

// 1: good, 2: good but to be sealed anew, 0: not ours (any more), -1: it cannot be done.
int ServerContext::OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv,
                            EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
  const auto* self = static_cast<const ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TicketKey key;
  bool newest = true;
  if (sealing == 1) {
    if (!NewestTicketKey(*self->tickets_, &key)) return -1;
    std::copy(key.name.begin(), key.name.end(), name);
    if (RAND_bytes(iv, kIvBytes) != 1) return -1;
  } else if (!FindTicketKey(*self->tickets_, name, &key, &newest)) {
    return 0;
  }
  char hash[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0), OSSL_PARAM_construct_end()};
  const bool good =
      EVP_MAC_CTX_set_params(mac, params) == 1 &&
      EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, sealing) == 1;
  OPENSSL_cleanse(&key, sizeof key);
  if (!good) return -1;
  return newest ? 1 : 2;
}

int ServerContext::OnStatus(SSL* ssl, void* self) {
  const X509* shown = SSL_get_certificate(ssl);
  for (const TlsCertificate& each : static_cast<ServerContext*>(self)->certificates_) {
    if (each.leaf.get() != shown || each.ocsp_staple.empty()) continue;
    void* copy = OPENSSL_memdup(each.ocsp_staple.data(), each.ocsp_staple.size());
    if (copy == nullptr) break;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(each.ocsp_staple.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX* ServerContext::Find(std::string_view name) const {
  std::string key = ToLowerAscii(name);
  if (key.ends_with('.')) key.pop_back();
  auto found = by_name_.find(key);
  if (found != by_name_.end()) return found->second;
  const size_t dot = key.find('.');
  if (dot == std::string::npos || dot == 0) return nullptr;
  found = by_name_.find("*" + key.substr(dot));
  return found == by_name_.end() ? nullptr : found->second;
}

int ServerContext::OnServerName(SSL* ssl, int*, void* self) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* const found = static_cast<ServerContext*>(self)->Find(name);
  if (found == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (found != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, found);
  return SSL_TLSEXT_ERR_OK;
}

// Ours is the order. RFC 7301 section 3.2: without a common protocol the handshake fails.
int ServerContext::OnAlpn(SSL*, const unsigned char** out, unsigned char* out_size,
                          const unsigned char* in, unsigned in_size, void* self) {
  const std::string& ours = static_cast<ServerContext*>(self)->alpn_;
  unsigned char* chosen = nullptr;
  const int outcome =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), in, in_size);
  *out = chosen;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::unique_ptr<Transport> ServerContext::NewTransport() const {
  SslPtr ssl(SSL_new(default_));
  if (ssl == nullptr) return nullptr;
  SSL_set_accept_state(ssl.get());
  return MakeTlsTransport(std::move(ssl), shared_from_this());
}

}  // namespace

std::string ApplyTlsSettings(const TlsConfig& config, SSL_CTX* context) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context,
                                config.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
  // A client may not ask for a second handshake on one connection: that is work for one packet.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection holds no buffers; writes are repeated from wherever the bytes lie by then.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_cipher_list(context, config.ciphers.c_str()) != 1) {
    return fmt::format("tls.ciphers: \"{}\": {}", config.ciphers, OpenSslError());
  }
  if (SSL_CTX_set1_groups_list(context, config.curves.c_str()) != 1) {
    ERR_clear_error();
    return fmt::format("tls.curves: \"{}\" is not a list of known groups (X25519:P-256:P-384)",
                       config.curves);
  }
  return {};
}

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::Create(const TlsConfig& config,
                                                                         const ShmHeader* tickets) {
  if (config.certificates.empty()) return Fail(Status::Config("there is no certificate"));
  auto context = std::make_shared<ServerContext>();
  Status status = context->Build(config, tickets);
  if (!status.ok()) return Fail(std::move(status));
  return std::shared_ptr<const TlsServerContext>(std::move(context));
}

}  // namespace ub
