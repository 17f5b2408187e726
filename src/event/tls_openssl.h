// OpenSSL's objects under unique_ptr, and its errors as text. Private to src/event/tls_*.cc: nobody
// else may know OpenSSL (build/check-includes).
#ifndef UB_EVENT_TLS_OPENSSL_H_
#define UB_EVENT_TLS_OPENSSL_H_

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"

namespace ub {

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SslContextPtr = std::unique_ptr<SSL_CTX, OpenSslDeleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpenSslDeleter<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>>;

// What the oldest error of this thread says, in OpenSSL's words; the queue is empty afterwards.
std::string OpenSslError();

// A certificate, ready for use.
struct TlsCertificate {
  X509Ptr leaf;
  std::vector<X509Ptr> chain;
  KeyPtr key;
  std::vector<std::string> names;  // DNS names in lower case, "*.example.org" among them
  int key_type = 0;                // EVP_PKEY_RSA, EVP_PKEY_EC, …
  std::string ocsp_staple;         // DER; empty: none
};

// Parses it and sees whether the key fits. nullopt: *wrong says what is wrong, *in_key whether the
// key is at fault.
std::optional<TlsCertificate> ParseCertificate(const CertificateConfig& config, std::string* wrong,
                                               bool* in_key);
// All certificates of a PEM text; empty where there is none.
std::vector<X509Ptr> ParseCertificates(std::string_view pem);

// Seconds since 1970 at which it expires.
int64_t ExpiresAt(const X509* certificate);

// What every context is set to, whatever certificates it has. Empty, or what is wrong, beginning
// with the key at fault: "tls.ciphers: …".
std::string ApplyTlsSettings(const TlsConfig& config, SSL_CTX* context);

}  // namespace ub

#endif  // UB_EVENT_TLS_OPENSSL_H_
