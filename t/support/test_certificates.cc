#include "support/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdlib>

namespace ub {
namespace {

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

BIO* Reader(const std::string& text) {
  return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
}

void Extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  if (extension == nullptr) abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

TestCertificate MakeCertificate(std::vector<std::string> names) {
  CertificateOrder order;
  order.names = std::move(names);
  return MakeCertificate(order);
}

TestCertificate MakeCertificate(const CertificateOrder& order) {
  static std::atomic<long> serial{1000};
  EVP_PKEY* key = order.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
  X509* made = X509_new();
  X509_set_version(made, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
  constexpr long kDay = 24 * 60 * 60;
  X509_gmtime_adj(X509_getm_notBefore(made), order.begins_in_days * kDay);
  // An hour more, so that the days are whole ones while the test runs.
  X509_gmtime_adj(X509_getm_notAfter(made), order.days * kDay + 3600);
  X509_set_pubkey(made, key);
  TestCertificate out;
  out.subject = order.names.empty() ? "nobody" : order.names.front();
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(out.subject.c_str()), -1, -1, 0);
  X509* issuer = made;
  EVP_PKEY* issuer_key = key;
  if (order.issuer != nullptr) {
    BIO* reader = Reader(order.issuer->certificate);
    issuer = PEM_read_bio_X509(reader, nullptr, nullptr, nullptr);
    BIO_free(reader);
    reader = Reader(order.issuer->key);
    issuer_key = PEM_read_bio_PrivateKey(reader, nullptr, nullptr, nullptr);
    BIO_free(reader);
  }
  X509_set_issuer_name(made, X509_get_subject_name(issuer));
  std::string names;
  for (const std::string& name : order.names) {
    const bool ip = name.find_first_not_of("0123456789.:") == std::string::npos;
    names += (names.empty() ? "" : ",") + std::string(ip ? "IP:" : "DNS:") + name;
  }
  if (!names.empty()) Extend(made, issuer, NID_subject_alt_name, names);
  if (order.authority) Extend(made, issuer, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(made, issuer_key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, made);
  out.certificate = Text(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  out.key = Text(bio);
  if (issuer != made) {
    X509_free(issuer);
    EVP_PKEY_free(issuer_key);
  }
  X509_free(made);
  EVP_PKEY_free(key);
  return out;
}

std::string MakeOcspResponse(const TestCertificate& certificate) {
  BIO* reader = Reader(certificate.certificate);
  X509* leaf = PEM_read_bio_X509(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  reader = Reader(certificate.key);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), leaf, leaf);
  ASN1_TIME* now = X509_gmtime_adj(nullptr, 0);
  ASN1_TIME* next = X509_gmtime_adj(nullptr, 3600);
  OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, nullptr, now, next);
  OCSP_basic_sign(basic, leaf, key, EVP_sha256(), nullptr, 0);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(now);
  ASN1_TIME_free(next);
  X509_free(leaf);
  EVP_PKEY_free(key);
  return out;
}

}  // namespace ub
