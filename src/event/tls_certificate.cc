// Certificates and keys from PEM texts, and what can be wrong with them.
#include <fmt/format.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "core/config_text.h"
#include "event/tls_context.h"
#include "event/tls_openssl.h"

namespace ub {
namespace {

constexpr int64_t kDay = 24 * 60 * 60;

BioPtr Reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Nobody is there to be asked for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

// The names of subjectAltName; without one the common name, as old certificates have it.
std::vector<std::string> NamesOf(X509* leaf) {
  std::vector<std::string> names;
  auto* list =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; list != nullptr && i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    if (name->type != GEN_DNS) continue;
    names.push_back(ToLowerAscii({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                           static_cast<size_t>(ASN1_STRING_length(name->d.dNSName))}));
  }
  const bool none = list == nullptr;
  GENERAL_NAMES_free(list);
  char common[256];
  const int size = none ? X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName,
                                                    common, sizeof common)
                        : 0;
  if (size > 0) names.push_back(ToLowerAscii({common, static_cast<size_t>(size)}));
  return names;
}

bool IsGoodStaple(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  OCSP_RESPONSE* response = d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()));
  const bool good =
      response != nullptr && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL;
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return good;
}

std::string Day(int64_t unix_seconds) {
  const time_t at = unix_seconds;
  tm parts{};
  gmtime_r(&at, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

int64_t SecondsOf(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

}  // namespace

std::string OpenSslError() {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

int64_t ExpiresAt(const X509* certificate) { return SecondsOf(X509_get0_notAfter(certificate)); }

std::vector<X509Ptr> ParseCertificates(std::string_view pem) {
  std::vector<X509Ptr> all;
  const BioPtr reader = Reader(pem);
  while (X509* each = PEM_read_bio_X509_AUX(reader.get(), nullptr, NoPassphrase, nullptr))
    all.emplace_back(each);
  // The end of the text is an error too. Any other would leave out what comes after it.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) all.clear();
  ERR_clear_error();
  return all;
}

std::optional<TlsCertificate> ParseCertificate(const CertificateConfig& config, std::string* wrong,
                                               bool* in_key) {
  *in_key = false;
  TlsCertificate out;
  std::vector<X509Ptr> all = ParseCertificates(config.certificate_pem);
  if (all.empty()) {
    *wrong = "has no certificate in it, or a broken one (PEM is expected: -----BEGIN CERTIFICATE-----)";
    return std::nullopt;
  }
  out.leaf = std::move(all.front());
  all.erase(all.begin());
  out.chain = std::move(all);
  *in_key = true;
  ERR_clear_error();
  out.key.reset(
      PEM_read_bio_PrivateKey(Reader(config.key_pem).get(), nullptr, NoPassphrase, nullptr));
  if (out.key == nullptr) {
    const bool encrypted = config.key_pem.find("ENCRYPTED") != std::string::npos;
    ERR_clear_error();
    *wrong = encrypted ? "is encrypted (take the passphrase off: openssl pkey)"
                       : "has no private key in it (PEM is expected)";
    return std::nullopt;
  }
  if (X509_check_private_key(out.leaf.get(), out.key.get()) != 1) {
    ERR_clear_error();
    *wrong = fmt::format("is not the key of {}", config.certificate);
    return std::nullopt;
  }
  *in_key = false;
  out.ocsp_staple = config.ocsp_staple;
  if (!out.ocsp_staple.empty() && !IsGoodStaple(out.ocsp_staple)) {
    *wrong = "has an ocsp_staple_file that holds no successful OCSP response (DER is expected)";
    return std::nullopt;
  }
  out.names = NamesOf(out.leaf.get());
  out.key_type = EVP_PKEY_get_base_id(out.key.get());
  return out;
}

std::vector<CertificateEnd> CertificateEnds(const TlsConfig& config) {
  std::vector<CertificateEnd> ends;
  for (const CertificateConfig& entry : config.certificates) {
    const std::vector<X509Ptr> all = ParseCertificates(entry.certificate_pem);
    if (all.empty()) continue;
    std::vector<std::string> names = NamesOf(all.front().get());
    ends.push_back(
        {entry.certificate, names.empty() ? "" : names.front(), ExpiresAt(all.front().get())});
  }
  return ends;
}

std::vector<TlsFault> InspectTls(const Config& all) {
  const TlsConfig& config = all.tls;
  std::vector<TlsFault> faults;
  const int64_t now = time(nullptr);
  for (size_t i = 0; i < config.certificates.size(); ++i) {
    const CertificateConfig& entry = config.certificates[i];
    std::string wrong;
    bool in_key = false;
    const std::optional<TlsCertificate> parsed = ParseCertificate(entry, &wrong, &in_key);
    if (!parsed) {
      faults.push_back({in_key ? "key" : "certificate", i,
                        fmt::format("{} {}", in_key ? entry.key : entry.certificate, wrong)});
      continue;
    }
    const int64_t end = ExpiresAt(parsed->leaf.get()),
                  begin = SecondsOf(X509_get0_notBefore(parsed->leaf.get()));
    const auto say = [&](std::string text, bool warning) {
      faults.push_back({"certificate", i, fmt::format("{} {}", entry.certificate, text), warning});
    };
    if (end <= now) {
      say(fmt::format("expired on {} (renew it)", Day(end)), false);
    } else if (begin > now) {
      say(fmt::format("is not valid before {}", Day(begin)), true);
    } else if (end - now < kCertificateWarnDays * kDay) {
      say(fmt::format("expires on {}, in {} days (renew it)", Day(end), (end - now) / kDay), true);
    }
  }
  if (all.backend_tls.enabled) {
    const auto built = TlsClientContext::Create(all.backend_tls);
    if (!built) {
      const std::string text = built.error().detail();
      const size_t colon = text.find(": ");
      faults.push_back({text.substr(0, colon), 0, text.substr(colon + 2)});
    }
  }
  if (std::ranges::any_of(faults, [](const TlsFault& fault) { return !fault.warning; })) return faults;
  // What is left is told by whoever uses them.
  const SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  const std::string settings = ApplyTlsSettings(config, context.get());
  if (!settings.empty()) {
    const size_t colon = settings.find(": ");
    faults.push_back({settings.substr(0, colon), 0, settings.substr(colon + 2)});
    return faults;
  }
  if (!config.client_ca.empty() && ParseCertificates(config.client_ca_pem).empty()) {
    faults.push_back(
        {"tls.client_ca", 0,
         fmt::format("{} has no certificate in it, or a broken one (PEM is expected)", config.client_ca)});
    return faults;
  }
  if (config.certificates.empty()) return faults;
  const auto built = TlsServerContext::Create(config);
  if (!built) faults.push_back({"tls.certificates", 0, built.error().detail()});
  return faults;
}

}  // namespace ub
