#include "http/client_certificate.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

TEST(ClientCertificate, FieldsSayWhoItWas) {
  EXPECT_EQ(ClientCertificateFields({}), "X-Client-Verify: NONE\r\n");
  EXPECT_EQ(ClientCertificateFields({"CN=a", "00ff", "QUJD"}),
            "X-Client-Verify: SUCCESS\r\nX-Client-Fingerprint: 00ff\r\nClient-Cert: :QUJD:\r\nX-Client-Subject: CN=a\r\n");
  for (const char* subject : {"CN=a\r\nX: y", "CN=\x7f", "CN=\xc3\xa4"}) {
    EXPECT_EQ(ClientCertificateFields({subject, "00", "QQ"}).find("Subject"), std::string::npos) << subject;
  }
}

TEST(ClientCertificate, NamesAreKnownHoweverTheyAreWritten) {
  for (const char* name : {"Client-Cert", "client_cert", "X-CLIENT-VERIFY", "x-client_subject", "X_Client_Fingerprint",
                           "Client-Cert-Chain"}) {
    EXPECT_TRUE(IsClientCertificateField(name)) << name;
  }
  for (const char* name : {"Client-Certs", "X-Client", "X-Forwarded-For", ""}) EXPECT_FALSE(IsClientCertificateField(name));
}

}  // namespace
}  // namespace ub
