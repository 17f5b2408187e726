#include "upstream/certificate_watch.h"

#include <gtest/gtest.h>

#include "support/test_certificates.h"
#include "log_capture.h"
#include "loop_fixture.h"

namespace ub {
namespace {

constexpr uint64_t kSoonNs = 2'000'000;

CertificateConfig Ending(const std::string& file, int days) {
  CertificateOrder order;
  order.names = {"a.example"};
  order.days = days;
  const TestCertificate made = MakeCertificate(order);
  CertificateConfig entry;
  entry.certificate = file;
  entry.certificate_pem = made.certificate;
  entry.key_pem = made.key;
  return entry;
}

TEST(CertificateWatch, TellsAgainAndAgainWhatEndsSoonAndWhatHasEnded) {
  LogCapture log;
  const auto loop = MakeLoop();
  CertificateWatch watch(loop.get(), kSoonNs);
  TlsConfig config;
  config.certificates = {Ending("late.pem", 90), Ending("soon.pem", 13), Ending("over.pem", -1)};
  watch.Configure(config);
  EXPECT_EQ(log.Text(), "") << "a load warns by itself";
  ASSERT_TRUE(RunUntil(*loop, [&] { return log.Count("over.pem has expired") >= 2; })) << log.Text();
  EXPECT_GE(log.Count("[warn]"), 2u);
  EXPECT_GE(log.Count("soon.pem expires in 13 days"), 2u) << log.Text();
  EXPECT_EQ(log.Count("late.pem"), 0u);
}

TEST(CertificateWatch, FollowsTheConfiguration) {
  LogCapture log;
  const auto loop = MakeLoop();
  CertificateWatch watch(loop.get(), kSoonNs), other(loop.get(), 2 * kSoonNs);
  TlsConfig config;
  config.certificates = {Ending("old.pem", 1)};
  watch.Configure(config);
  config.certificates = {Ending("new.pem", 1)};
  other.Configure(config);
  watch.Configure(TlsConfig());
  ASSERT_TRUE(RunUntil(*loop, [&] { return log.Count("new.pem") >= 2; }));
  EXPECT_EQ(log.Count("old.pem"), 0u);
}

}  // namespace
}  // namespace ub
