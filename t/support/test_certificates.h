// Certificates made when a test runs: none is kept in the tree, and none can expire there.
#ifndef UB_SUPPORT_TEST_CERTIFICATES_H_
#define UB_SUPPORT_TEST_CERTIFICATES_H_

#include <string>
#include <vector>

namespace ub {

struct CertificateOrder {
  std::vector<std::string> names;  // the first is the common name too; DNS names, and IP addresses as they are
  bool rsa = false;                // else ECDSA over P-256
  int days = 30;                   // until it expires; negative: it did that long ago
  int begins_in_days = -60;
  bool authority = false;          // may sign others
  const struct TestCertificate* issuer = nullptr;  // null: it signs itself
};

struct TestCertificate {
  std::string certificate, key;  // PEM
  std::string subject;           // the common name
};

TestCertificate MakeCertificate(const CertificateOrder& order);
// One for these names, signed by itself.
TestCertificate MakeCertificate(std::vector<std::string> names);

// What an OCSP responder says of it: good. DER.
std::string MakeOcspResponse(const TestCertificate& certificate);

}  // namespace ub

#endif  // UB_SUPPORT_TEST_CERTIFICATES_H_
