// TLS with clients: certificates, what HTTP sees of it, how connections end, what hostile clients cost.
#include <gtest/gtest.h>

#include <csignal>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "tls_client.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

class Tls : public testing::Test {
 protected:
  Tls() { files_.Put("a", MakeCertificate({"a.example", "*.a.example"})); }
  CertificateFiles files_;
  FakeBackend backend_;
};

TEST_F(Tls, RequestsPassAsTheyDoWithoutIt) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  TlsRelay relay(proxy.endpoint());
  Client client(relay.endpoint());
  EXPECT_EQ(client.Get("/x").status, 200);
  EXPECT_EQ(backend_.last().Value("X-Forwarded-Proto"), "https");
  const std::string body = Pattern(7, 1000000);
  const Response echoed = client.Ask("POST", "/echo", "", body);
  EXPECT_EQ(echoed.status, 200);
  EXPECT_TRUE(echoed.body == body);
  PatternCheck check(5);
  client.Send(RequestText("GET", "/size/3000000/5"));
  EXPECT_EQ(client.Read("GET", [&](std::string_view piece) { check.Feed(piece); }).status, 200);
  EXPECT_TRUE(check.intact());
  EXPECT_EQ(check.bytes(), 3000000u);
  EXPECT_EQ(proxy.segment().Connections(), 1u) << "all on one connection";
  // Two requests at once, the second read with the first.
  client.Send(RequestText("GET", "/size/10/1") + RequestText("GET", "/size/20/1"));
  EXPECT_EQ(client.Read().body.size(), 10u);
  EXPECT_EQ(client.Read().body.size(), 20u);
}

TEST_F(Tls, LoadOverBothKindsOfListener) {
  ConfigFile config = TlsConfigFile(files_, "a").Workers(2).Backend(backend_);
  config.Listen(Endpoint::V4(FreePort()));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  TlsRelay relay(proxy.endpoint(0));
  LoadGenerator secure(relay.endpoint()), plain(proxy.endpoint(1), {.first_index = 100});
  secure.Start();
  plain.Start();
  EXPECT_TRUE(secure.WaitAnswers(500));
  EXPECT_TRUE(plain.WaitAnswers(500));
  for (LoadGenerator* load : {&secure, &plain}) {
    const LoadReport report = load->Stop();
    EXPECT_EQ(report.failed, 0u) << report.Summary();
    EXPECT_EQ(report.closed, 0u) << report.Summary();
  }
  EXPECT_EQ(relay.failed(), 0u);
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST_F(Tls, CertificatesByNameAndKindOfKey) {
  files_.Put("b", MakeCertificate({"b.example"}));
  CertificateOrder rsa;
  rsa.names = {"a.example"};
  rsa.rsa = true;
  files_.Put("rsa", MakeCertificate(rsa));
  Proxy proxy(TlsConfigFile(files_, "a b rsa").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  for (const auto& [name, subject] :
       std::vector<std::pair<std::string, std::string>>{{"", "a.example"}, {"b.example", "b.example"}, {"x.a.example", "a.example"}}) {
    TlsClient client(proxy.endpoint(), {.name = name});
    EXPECT_EQ(client.subject(), subject) << name << client.error();
    EXPECT_EQ(client.version(), "TLSv1.3");
    EXPECT_EQ(client.Get(), 200);
  }
  for (const char* cipher : {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"}) {
    TlsClient client(proxy.endpoint(), {.name = "a.example", .ciphers = cipher, .tls12 = true});
    EXPECT_TRUE(client.connected()) << cipher << client.error();
    EXPECT_EQ(client.version(), "TLSv1.2");
    EXPECT_EQ(client.Get(), 200) << cipher;
  }
  TlsClient weak(proxy.endpoint(), {.ciphers = "AES128-SHA", .tls12 = true});
  EXPECT_FALSE(weak.connected()) << "no forward secrecy";
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "TLS handshake failed: no shared cipher"); })) << proxy.Log();
}

TEST_F(Tls, TheProtocolIsAgreedUpon) {
  Proxy proxy(TlsConfigFile(files_, "a", ", alpn: [ http/1.1 ]").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  TlsClient both(proxy.endpoint(), {.alpn = "h2,http/1.1"});
  EXPECT_EQ(both.protocol(), "http/1.1");
  EXPECT_EQ(both.Get(), 200);
  TlsClient none(proxy.endpoint(), {.alpn = "h2"});
  EXPECT_FALSE(none.connected());
}

TEST_F(Tls, AProxyHeadComesBeforeTls) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_).Set("proxy_protocol",
                                                                         "{ accept: true, trust: [ \"127.0.0.1\" ] }"));
  ASSERT_TRUE(proxy.Start());
  TlsClient client(proxy.endpoint(), {.before = "PROXY TCP4 203.0.113.7 198.51.100.2 4711 443\r\n"});
  ASSERT_TRUE(client.connected()) << client.error();
  EXPECT_EQ(client.Get(), 200);
  EXPECT_EQ(client.Get(), 200);
  EXPECT_EQ(backend_.last().Value("X-Forwarded-For"), "203.0.113.7");
  EXPECT_EQ(backend_.last().Value("X-Forwarded-Proto"), "https");
  TlsClient without(proxy.endpoint(), {});
  EXPECT_FALSE(without.connected());
  // The head in two pieces, and together with the first bytes of the handshake.
  Socket socket = Socket::Connect(proxy.endpoint());
  socket.Send("PROXY TCP4 203.0.");
  EXPECT_FALSE(socket.Readable(Millis(50)));
  socket.Send("113.7 198.51.100.2 4711 443\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(socket.Readable(kLimit)) << "an alert: that was no TLS";
}

TEST_F(Tls, ConnectionsEndInOrder) {
  FakeBackend cut([](Exchange& exchange) {
    if (exchange.request.target == "/whole") {
      exchange.Reply(200, "whole", "Connection: close\r\n");
    } else {
      exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      exchange.Close();
    }
  });
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(cut));
  ASSERT_TRUE(proxy.Start());
  for (const char* version : {"1.0", "1.1"}) {
    for (const bool whole : {true, false}) {
      TlsClient client(proxy.endpoint(), {});
      client.Send(std::string("GET ") + (whole ? "/whole" : "/half") + " HTTP/" + version +
                  "\r\nHost: a\r\nConnection: close\r\n\r\n");
      bool orderly = false;
      const std::string all = client.ReadAll(&orderly);
      EXPECT_TRUE(Contains(all, whole ? "whole" : "half")) << all;
      EXPECT_TRUE(orderly || !whole) << version << client.error();
    }
  }
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

// Without Content-Length or chunks only the end of the connection tells that the response is whole.
TEST_F(Tls, ACutResponseDoesNotLookWhole) {
  FakeBackend cut([](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    if (exchange.request.target == "/whole") exchange.Send("0\r\n\r\n");
    exchange.Close();
  });
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(cut));
  ASSERT_TRUE(proxy.Start());
  for (const bool whole : {true, false}) {
    TlsClient client(proxy.endpoint(), {});
    client.Send(std::string("GET ") + (whole ? "/whole" : "/cut") + " HTTP/1.0\r\nHost: a\r\n\r\n");
    bool orderly = false;
    EXPECT_TRUE(Contains(client.ReadAll(&orderly), whole ? "half" : ""));
    EXPECT_EQ(orderly, whole);
  }
}

// A truncated upload is no upload.
TEST_F(Tls, AClientThatIsCutOffSendsNothingWhole) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  for (const bool orderly : {true, false}) {
    TlsClient client(proxy.endpoint(), {});
    client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    if (orderly) client.Close();
    shutdown(client.fd(), SHUT_WR);
    EXPECT_FALSE(Contains(client.ReadAll(), " 200 "));
  }
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST_F(Tls, AClientThatLeavesBeforeItsAnswerIsNoticed) {
  Gate gate;
  FakeBackend slow([&](Exchange& exchange) { exchange.Wait(gate); });
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(slow));
  ASSERT_TRUE(proxy.Start());
  uint64_t asked = 0;
  for (const bool orderly : {true, false}) {
    {
      TlsClient client(proxy.endpoint(), {});
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      ++asked;
      ASSERT_TRUE(WaitFor([&] { return slow.requests() == asked; }));
      if (orderly) client.Close();
    }
    EXPECT_TRUE(WaitFor([&] { return proxy.InFlight() == 0; }));
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  }
  gate.Open();
}

TEST_F(Tls, WhoDoesNotFinishTheHandshakeIsClosed) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_).Set("timeout", "{ header_ms: 1000 }"));
  ASSERT_TRUE(proxy.Start());
  const uint64_t failed_before = proxy.Total(&ProcessRow::tls_failures);
  Client silent(proxy.endpoint()), half(proxy.endpoint()), plain(proxy.endpoint());
  half.Send("\x16\x03\x01\x02\x00\x01");
  plain.Send(RequestText("GET", "/"));
  for (Client* client : {&silent, &half, &plain}) EXPECT_TRUE(client->ServerClosed());
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "TLS handshake failed: http request"); })) << proxy.Log();
  EXPECT_EQ(proxy.Total(&ProcessRow::tls_failures), failed_before + 3);
  TlsClient good(proxy.endpoint(), {});
  EXPECT_EQ(good.Get(), 200);
}

TEST_F(Tls, BadFilesAreToldWithTheirPlaceAndChangeNothing) {
  files_.Put("b", MakeCertificate({"b.example"}));
  CertificateOrder old;
  old.names = {"old.example"};
  old.days = -1;
  files_.Put("old", MakeCertificate(old));
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  TlsClient kept(proxy.endpoint(), {});
  EXPECT_EQ(kept.Get(), 200);
  const uint64_t generation = proxy.generation();
  const auto refused = [&](const std::string& entry, const std::string& why) {
    ConfigFile config = proxy.config();
    config.Set("tls", "{ certificates: [ " + files_.Yaml("a") + ", " + entry + " ] }");
    proxy.WriteConfig(config);
    const CommandResult test = RunBinary({"-t", "-c", proxy.config_path()});
    EXPECT_EQ(test.status, 1);
    EXPECT_TRUE(Contains(test.err, why)) << test.err;
    EXPECT_TRUE(Contains(test.err, proxy.config_path() + ":")) << test.err;
    proxy.Signal(SIGHUP);
    EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), why); })) << proxy.Log();
  };
  refused("{ certificate: \"" + files_.Path("b.pem") + "\", key: \"" + files_.Path("a.key") + "\" }", "is not the key of");
  refused(files_.Yaml("old"), "expired on");
  refused(files_.Yaml("missing"), "cannot read");
  EXPECT_EQ(proxy.generation(), generation);
  TlsClient fresh(proxy.endpoint(), {.name = "a.example"});
  EXPECT_EQ(fresh.Get(), 200);
  EXPECT_EQ(kept.Get(), 200);
}

TEST_F(Tls, KeysAreShownNowhere) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  const std::string key = ReadFile(files_.Path("a.key"));
  const std::string line = key.substr(key.find('\n') + 1, 40);
  const CommandResult printed = RunBinary({"-T", "-c", proxy.config_path()});
  EXPECT_EQ(printed.status, 0);
  EXPECT_TRUE(Contains(printed.out, files_.Path("a.key"))) << printed.out;
  EXPECT_FALSE(Contains(printed.out + printed.err + proxy.Log(), line));
}

// HUP under load with a new certificate each time: no handshake fails, no connection is closed, and the newest is shown.
TEST_F(Tls, AReloadBringsNewCertificatesAndCostsNothing) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(2).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  TlsRelay relay(proxy.endpoint());
  LoadGenerator load(relay.endpoint(), {.connections = 4});
  load.Start();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> handshakes{0}, failures{0};
  std::thread knocking([&] {
    while (!stop) {
      TlsClient client(proxy.endpoint(), {.name = "a.example"});
      ++handshakes;
      if (client.Get() != 200) ++failures;
    }
  });
  for (int round = 0; round < 5; ++round) {
    const std::string name = "r" + std::to_string(round) + ".example";
    files_.Put("a", MakeCertificate({name}));
    ASSERT_TRUE(proxy.Reload(proxy.config()));
    TlsClient client(proxy.endpoint(), {});
    EXPECT_EQ(client.subject(), name);
    EXPECT_TRUE(load.WaitAnswers(50));
  }
  stop = true;
  knocking.join();
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed + report.closed, 0u) << report.Summary();
  EXPECT_EQ(failures, 0u) << "of " << handshakes;
  EXPECT_GT(handshakes, 5u);
  EXPECT_EQ(relay.failed(), 0u);
  EXPECT_TRUE(Contains(proxy.Log(), "tls.certificates: renewed")) << proxy.Log();
}

TEST_F(Tls, ListenersBecomeTlsAndPlainByAReload) {
  const Endpoint first = Endpoint::V4(FreePort()), second = Endpoint::V4(FreePort());
  ConfigFile plain = ConfigFile().Workers(2).Backend(backend_).Listen(first);
  Proxy proxy(plain);
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(first).status, 200);
  ConfigFile secure = TlsConfigFile(files_, "a").Workers(2).Backend(backend_).ClearListen();
  secure.ListenTls(first).ListenTls(second);
  ASSERT_TRUE(proxy.Reload(secure));
  for (const Endpoint& at : {first, second}) {
    TlsClient client(at, {});
    EXPECT_EQ(client.Get(), 200) << client.error();
  }
  ASSERT_TRUE(proxy.Reload(plain));
  EXPECT_EQ(FetchOnce(first).status, 200);
  EXPECT_TRUE(WaitFor([&] { return !Socket::Connect(second, Millis(200)).valid(); }));
}

TEST_F(Tls, WorkersThatAreKilledAndForkedAnewHaveTheCertificates) {
  Proxy proxy(TlsConfigFile(files_, "a").Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  kill(proxy.Workers().at(0), SIGKILL);
  ASSERT_TRUE(proxy.WaitWorkers(1));
  ASSERT_TRUE(proxy.Reload(ConfigFile(proxy.config()).Workers(3)));
  ASSERT_TRUE(proxy.WaitWorkers(3));
  for (int i = 0; i < 12; ++i) {
    TlsClient client(proxy.endpoint(), {});
    EXPECT_EQ(client.Get(), 200) << client.error();
  }
}

}  // namespace
}  // namespace ub::itest
