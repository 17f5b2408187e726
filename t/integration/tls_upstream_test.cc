// TLS with backends: who is believed, what is asked for, and that nothing falls back to plain text.
#include <gtest/gtest.h>

#include <csignal>

#include "client.h"
#include "fake_backend.h"
#include "management.h"
#include "tls_backend.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

class TlsUpstream : public testing::Test {
 protected:
  TlsUpstream() {
    CertificateOrder order;
    order.names = {"authority.example"};
    order.authority = true;
    authority_ = MakeCertificate(order);
    WriteFile(files_.Path("ca.pem"), authority_.certificate);
  }
  TestCertificate Signed(std::vector<std::string> names) const {
    CertificateOrder order;
    order.names = std::move(names);
    order.issuer = &authority_;
    return MakeCertificate(order);
  }
  ConfigFile Config(const TlsBackend& backend, const std::string& tls) const {
    return ConfigFile().Workers(1).Backend(backend.Yaml()).Set("backend_tls", "{ enabled: true" + tls + " }");
  }
  std::string Ca() const { return ", ca_file: \"" + files_.Path("ca.pem") + "\""; }

  CertificateFiles files_;
  TestCertificate authority_;
  FakeBackend behind_;
};

TEST_F(TlsUpstream, RequestsGoByTlsOnConnectionsThatAreKept) {
  TlsBackend backend(behind_.endpoint(), Signed({"127.0.0.1"}));
  Proxy proxy(Config(backend, Ca()));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string body = Pattern(3, 500000);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(client.Get().status, 200);
    EXPECT_TRUE(client.Ask("POST", "/", "", body).body == body);
  }
  EXPECT_EQ(backend.handshakes(), 1u) << "one connection for all";
  EXPECT_EQ(backend.last_name(), "") << "an address is no name";
}

TEST_F(TlsUpstream, ANameIsAskedForAndMustBeProven) {
  TlsBackend backend(behind_.endpoint(), Signed({"app.example"}));
  Proxy proxy(Config(backend, Ca() + ", server_name: app.example"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(backend.last_name(), "app.example");
  for (const std::string& wrong : {Ca() + ", server_name: other.example", Ca(), std::string()}) {
    ASSERT_TRUE(proxy.Reload(Config(backend, wrong)));
    const uint64_t before = behind_.requests();
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502) << wrong;
    EXPECT_EQ(behind_.requests(), before) << "nothing was sent to it";
  }
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "certificate verify failed (hostname mismatch)"); })) << proxy.Log();
  ASSERT_TRUE(proxy.Reload(Config(backend, ", verify: false")));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST_F(TlsUpstream, WeShowACertificateToWhoeverAsks) {
  const TestCertificate own = Signed({"balancer.example"});
  files_.Put("own", own);
  TlsBackend backend(behind_.endpoint(), Signed({"127.0.0.1"}), &authority_);
  Proxy proxy(Config(backend, Ca() + ", certificate: \"" + files_.Path("own.pem") + "\", key: \"" + files_.Path("own.key") + "\""));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  ASSERT_TRUE(proxy.Reload(Config(backend, Ca())));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
}

TEST_F(TlsUpstream, AReloadChangesWhatIsSpokenAtOnce) {
  TlsBackend backend(behind_.endpoint(), Signed({"127.0.0.1"}));
  Proxy proxy(Config(backend, Ca()));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get().status, 200);
  ASSERT_TRUE(proxy.Reload(ConfigFile().Workers(1).Backend(backend.Yaml())));
  EXPECT_EQ(client.Get().status, 502) << "plain text to a backend that wants TLS; the old connection is not used";
  ASSERT_TRUE(proxy.Reload(Config(backend, Ca())));
  EXPECT_EQ(client.Get().status, 200);
}

TEST_F(TlsUpstream, ACutBodyIsNotAWholeOne) {
  FakeBackend until_close([](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
    exchange.Close();
  });
  TlsBackend backend(until_close.endpoint(), Signed({"127.0.0.1"}));
  Proxy proxy(Config(backend, Ca()));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).body, "all of it");
  backend.set_cut(true);
  const Response cut = FetchOnce(proxy.endpoint());
  EXPECT_FALSE(cut.ok()) << cut.Outcome();
}

TEST_F(TlsUpstream, HealthChecksSpeakItToo) {
  TlsBackend backend(behind_.endpoint(), Signed({"127.0.0.1"}));
  for (const std::string check : {"type: tcp", "path: /health"}) {
    ConfigFile config = Config(backend, Ca());
    config.Set("health_check", "{ enabled: true, interval_ms: 50, max_failures: 2, min_successes: 1, " + check + " }");
    const Management management(&config);
    Proxy proxy(config);
    ASSERT_TRUE(proxy.Start());
    const std::string address = backend.endpoint().Text();
    EXPECT_TRUE(WaitFor([&] { return management.Backend(address).value("health", "") == "up"; })) << check;
    ConfigFile wrong = config;
    wrong.Set("backend_tls", "{ enabled: true" + Ca() + ", server_name: other.example }");
    ASSERT_TRUE(proxy.Reload(wrong));
    EXPECT_TRUE(WaitFor([&] { return management.Backend(address).value("health", "") == "down"; })) << check;
    EXPECT_TRUE(Contains(proxy.Log(), "TLS handshake: certificate verify failed")) << proxy.Log();
  }
}

TEST_F(TlsUpstream, BadFilesAreErrors) {
  TlsBackend backend(behind_.endpoint(), Signed({"127.0.0.1"}));
  WriteFile(files_.Path("nonsense"), "nonsense");
  Proxy proxy(Config(backend, Ca()));
  ASSERT_TRUE(proxy.Start());
  for (const auto& [tls, why] : std::vector<std::pair<std::string, std::string>>{
           {", ca_file: /nowhere", "backend_tls.ca_file: cannot read /nowhere"},
           {", ca_file: \"" + files_.Path("nonsense") + "\"", "backend_tls.ca_file: "},
           {", certificate: \"" + files_.Path("ca.pem") + "\"", "backend_tls.key: "}}) {
    proxy.WriteConfig(Config(backend, tls).CopyListen(proxy.config()));
    const CommandResult test = RunBinary({"-t", "-c", proxy.config_path()});
    EXPECT_EQ(test.status, 1);
    EXPECT_TRUE(Contains(test.err, why)) << test.err;
  }
}

}  // namespace
}  // namespace ub::itest
