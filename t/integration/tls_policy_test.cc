// What TLS means for HTTP and for the next connection: resumption, redirects, HSTS, staples, clients' certificates, metrics.
#include <gtest/gtest.h>

#include <csignal>

#include "client.h"
#include "fake_backend.h"
#include "management.h"
#include "tls_client.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

class TlsPolicy : public testing::Test {
 protected:
  TlsPolicy() : certificate_(MakeCertificate({"a.example"})) { files_.Put("a", certificate_); }
  // A session that can be resumed.
  SSL_SESSION* NewSession(const Endpoint& at, const TlsOptions& options = {}) {
    TlsClient client(at, options);
    EXPECT_EQ(client.Get(), 200) << client.error();
    return client.TakeSession();
  }
  // How many of `count` connections took it up; all must be served.
  int Resumptions(const Endpoint& at, SSL_SESSION* session, int count, const TlsOptions& options = {}) {
    int resumed = 0;
    for (int i = 0; i < count; ++i) {
      TlsClient client(at, options, session);
      EXPECT_EQ(client.Get(), 200) << client.error();
      resumed += client.resumed() ? 1 : 0;
    }
    return resumed;
  }
  const TestCertificate certificate_;
  CertificateFiles files_;
  FakeBackend backend_;
};

TEST_F(TlsPolicy, SessionsGoOnAtAnyWorkerAfterReloadsAndUpgrades) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(3).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  for (const bool tls12 : {true, false}) {
    const TlsOptions options{.tls12 = tls12};
    SSL_SESSION* session = NewSession(proxy.endpoint(), options);
    EXPECT_EQ(Resumptions(proxy.endpoint(), session, 12, options), 12);
    files_.Put("a", MakeCertificate({"a.example"}));
    ASSERT_TRUE(proxy.Reload(proxy.config()));
    EXPECT_EQ(Resumptions(proxy.endpoint(), session, 12, options), 12);
    for (const pid_t worker : proxy.Workers()) kill(worker, SIGKILL);
    ASSERT_TRUE(proxy.WaitWorkers(3));
    EXPECT_EQ(Resumptions(proxy.endpoint(), session, 6, options), 6);
    TlsClient::FreeSession(session);
  }
  SSL_SESSION* session = NewSession(proxy.endpoint());
  const pid_t next = proxy.Upgrade();
  ASSERT_NE(next, 0);
  proxy.Stop(SIGQUIT);
  proxy.Follow(next);
  EXPECT_EQ(Resumptions(proxy.endpoint(), session, 6), 6);
  TlsClient::FreeSession(session);
}

TEST_F(TlsPolicy, KeysRotateAndTicketsCanBeOff) {
  Proxy proxy(TlsConfigFile(files_, "a", ", ticket_rotation_seconds: 1").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  SSL_SESSION* session = NewSession(proxy.endpoint());
  EXPECT_EQ(Resumptions(proxy.endpoint(), session, 1), 1);
  const uint64_t made = proxy.segment().header().ticket_keys_made.load();
  EXPECT_TRUE(WaitFor([&] { return proxy.segment().header().ticket_keys_made.load() >= made + 4; }));
  EXPECT_EQ(Resumptions(proxy.endpoint(), session, 1), 0) << "its key is gone";
  TlsClient::FreeSession(session);
  ConfigFile off = TlsConfigFile(files_, "a", ", session_tickets: false").Workers(1).Backend(backend_);
  ASSERT_TRUE(proxy.Reload(off.CopyListen(proxy.config())));
  session = NewSession(proxy.endpoint());
  EXPECT_EQ(Resumptions(proxy.endpoint(), session, 1), 0);
  TlsClient::FreeSession(session);
}

TEST_F(TlsPolicy, HttpIsSentToHttps) {
  ConfigFile config = TlsConfigFile(files_, "a", ", redirect_http: true").Workers(1).Backend(backend_);
  config.Listen(Endpoint::V4(FreePort())).Set("forwarded", "{ trust: [ \"127.0.0.2\" ] }");
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint(1));
  const std::string port = std::to_string(proxy.endpoint(0).port);
  for (const char* method : {"GET", "POST"}) {
    const Response sent = client.Ask(method, "/x?y", "", method[0] == 'P' ? "body" : "");
    EXPECT_EQ(sent.status, 308);
    EXPECT_EQ(sent.Value("Location").substr(sent.Value("Location").rfind(':')), ":" + port + "/x?y");
    EXPECT_FALSE(sent.Has("Strict-Transport-Security"));
  }
  EXPECT_EQ(client.Get("/", "X-Forwarded-Proto: https\r\n").status, 308) << "that peer is not trusted";
  EXPECT_EQ(backend_.requests(), 0u);
  EXPECT_EQ(client.Get("/.well-known/acme-challenge/token").status, 200);
  TlsClient secure(proxy.endpoint(0), {});
  EXPECT_EQ(secure.Get(), 200);
}

TEST_F(TlsPolicy, BrowsersAreToldToStayWithHttps) {
  FakeBackend backend([](Exchange& exchange) {
    exchange.Reply(200, "x", "Strict-Transport-Security: max-age=1\r\n");
  });
  ConfigFile config = TlsConfigFile(files_, "a", ", hsts_seconds: 3600").Workers(1).Backend(backend);
  config.Listen(Endpoint::V4(FreePort()));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  TlsRelay relay(proxy.endpoint(0));
  Client secure(relay.endpoint());
  const std::vector<std::string> ours{"max-age=3600"};
  EXPECT_EQ(secure.Get().Values("Strict-Transport-Security"), ours);
  const Response refused = secure.Ask("BAD METHOD", "/");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.Values("Strict-Transport-Security"), ours);
  EXPECT_EQ(FetchOnce(proxy.endpoint(1)).Value("Strict-Transport-Security"), "max-age=1") << "the backend's own";
}

TEST_F(TlsPolicy, AStapleGoesAlongWithItsCertificate) {
  files_.Put("b", MakeCertificate({"b.example"}));
  const std::string staple = MakeOcspResponse(certificate_);
  WriteFile(files_.Path("a.ocsp"), staple);
  Proxy proxy(TlsConfigFile(files_, "a b", ", ocsp_staple_file: \"" + files_.Path("a.ocsp") + "\"").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  for (const bool tls12 : {true, false}) {
    EXPECT_TRUE(TlsClient(proxy.endpoint(), {.name = "a.example", .ocsp = true, .tls12 = tls12}).ocsp() == staple);
    EXPECT_EQ(TlsClient(proxy.endpoint(), {.name = "b.example", .ocsp = true, .tls12 = tls12}).ocsp(), "");
    EXPECT_EQ(TlsClient(proxy.endpoint(), {.name = "a.example", .tls12 = tls12}).ocsp(), "");
  }
  WriteFile(files_.Path("a.ocsp"), "nonsense");
  const CommandResult test = RunBinary({"-t", "-c", proxy.config_path()});
  EXPECT_EQ(test.status, 1);
  EXPECT_TRUE(Contains(test.err, "no successful OCSP response")) << test.err;
}

TEST_F(TlsPolicy, ClientsProveWhoTheyAreAndNobodyElseCanSayIt) {
  CertificateOrder order;
  order.names = {"authority.example"};
  order.authority = true;
  const TestCertificate authority = MakeCertificate(order);
  order = {};
  order.names = {"client.example"};
  order.issuer = &authority;
  const TestCertificate good = MakeCertificate(order), stranger = MakeCertificate({"stranger.example"});
  WriteFile(files_.Path("ca.pem"), authority.certificate);
  const std::string ca = ", client_ca: \"" + files_.Path("ca.pem") + "\"";
  ConfigFile config = TlsConfigFile(files_, "a", ca).Workers(1).Backend(backend_);
  config.Listen(Endpoint::V4(FreePort()));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const std::string forged =
      "Client-Cert: :AAAA:\r\nx_client_subject: CN=admin\r\nX-Client-Verify: SUCCESS\r\nX-CLIENT-FINGERPRINT: 00\r\n";
  for (const bool tls12 : {true, false}) {
    TlsRelay relay(proxy.endpoint(0), {.tls12 = tls12, .identity = &good});
    Client client(relay.endpoint());
    EXPECT_EQ(client.Get("/", forged).status, 200);
    const Request seen = backend_.last();
    EXPECT_EQ(seen.Values("X-Client-Verify"), std::vector<std::string>{"SUCCESS"});
    EXPECT_EQ(seen.Values("X-Client-Subject"), std::vector<std::string>{"CN=client.example"});
    EXPECT_EQ(seen.Values("X-Client-Fingerprint").size(), 1u);
    EXPECT_EQ(seen.Value("X-Client-Fingerprint").size(), 64u);
    EXPECT_EQ(seen.Values("x_client_subject").size(), 0u);
    ASSERT_EQ(seen.Values("Client-Cert").size(), 1u);
    // The same certificate as the PEM file's, in one line.
    std::string pem = good.certificate.substr(good.certificate.find('\n') + 1);
    pem.resize(pem.find("-----END"));
    std::erase(pem, '\n');
    EXPECT_EQ(seen.Value("Client-Cert"), ":" + pem + ":");
    for (const TestCertificate* who : {&stranger, static_cast<const TestCertificate*>(nullptr)}) {
      TlsClient refused(proxy.endpoint(0), {.tls12 = tls12, .identity = who});
      EXPECT_EQ(refused.Get(), 0);
    }
    // A resumed session brings the certificate along.
    const TlsOptions options{.tls12 = tls12, .identity = &good};
    SSL_SESSION* session = NewSession(proxy.endpoint(0), options);
    EXPECT_EQ(Resumptions(proxy.endpoint(0), session, 1, options), 1);
    EXPECT_EQ(backend_.last().Value("X-Client-Subject"), "CN=client.example");
    TlsClient::FreeSession(session);
  }
  EXPECT_EQ(Client(proxy.endpoint(1)).Get("/", forged).status, 200);
  for (const auto& [name, value] : backend_.last().fields) {
    EXPECT_FALSE(Contains(forged, name + ":")) << name << " came by the plain listener";
  }
  ConfigFile optional = TlsConfigFile(files_, "a", ca + ", client_auth: optional").Workers(1).Backend(backend_);
  ASSERT_TRUE(proxy.Reload(optional.CopyListen(proxy.config())));
  TlsClient nobody(proxy.endpoint(0), {});
  EXPECT_EQ(nobody.Get(), 200);
  EXPECT_EQ(backend_.last().Value("X-Client-Verify"), "NONE");
  EXPECT_EQ(TlsClient(proxy.endpoint(0), {.identity = &stranger}).Get(), 0) << "a bad proof is none";
}

TEST_F(TlsPolicy, MetricsTellOfHandshakesAndOfTheCalendar) {
  ConfigFile config = TlsConfigFile(files_, "a").Workers(2).Backend(backend_);
  const Management management(&config);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const uint64_t failed_before = management.Fetch("/metrics")["tls"].value("failed_handshakes", uint64_t{0});
  SSL_SESSION* session = NewSession(proxy.endpoint());
  EXPECT_EQ(Resumptions(proxy.endpoint(), session, 2), 2);
  TlsClient::FreeSession(session);
  EXPECT_FALSE(TlsClient(proxy.endpoint(), {.alpn = "nonsense"}).connected());
  EXPECT_TRUE(management.Await([&] {
    const Json tls = management.Fetch("/metrics")["tls"];
    return tls["handshakes"] == 3 && tls["resumed"] == 2 && tls["failed_handshakes"] == failed_before + 1;
  })) << management.Fetch("/metrics")["tls"];
  const Json certificate = management.Fetch("/metrics")["tls"]["certificates"].at(0);
  EXPECT_EQ(certificate["name"], "a.example");
  EXPECT_EQ(certificate["file"], files_.Path("a.pem"));
  EXPECT_EQ(certificate["days_to_expiry"], 30);
  const std::string text = management.Get("/prometheus").body;
  EXPECT_TRUE(Contains(text, "ultrabalancer_tls_certificate_expiry_days{file=\"" + files_.Path("a.pem") +
                                 "\",name=\"a.example\"} 30\n")) << text;
  EXPECT_TRUE(Contains(text, "ultrabalancer_tls_resumed_total 2\n"));
}

}  // namespace
}  // namespace ub::itest
