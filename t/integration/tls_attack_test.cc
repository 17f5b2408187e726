// Hostile TLS clients: what they cost is bounded, and all of it comes back.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>

#include "client.h"
#include "fake_backend.h"
#include "tls_client.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

// The first message of a good client.
std::string ClientHello() {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl);
  SSL_do_handshake(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string hello(data, static_cast<size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return hello;
}

class TlsAttack : public testing::Test {
 protected:
  TlsAttack() { files_.Put("a", MakeCertificate({"a.example"})); }
  ConfigFile Config() const {
    return TlsConfigFile(files_, "a").Workers(1).Backend(backend_).Set("timeout", "{ header_ms: 2000 }");
  }
  // Everything is back, and a good client is served.
  void ExpectWell(Proxy& proxy) {
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; })) << proxy.Connections();
    EXPECT_TRUE(proxy.WaitIdle());
    TlsClient good(proxy.endpoint(), {});
    EXPECT_EQ(good.Get(), 200) << good.error();
  }
  CertificateFiles files_;
  FakeBackend backend_;
};

TEST_F(TlsAttack, HandshakesThatStopAnywhere) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  const std::string hello = ClientHello();
  for (size_t size = 0; size < hello.size(); size += 5) {
    Client client(proxy.endpoint());
    client.Send(std::string_view(hello).substr(0, size));
    if (size % 2 == 0) client.socket().Reset();
  }
  ExpectWell(proxy);
}

TEST_F(TlsAttack, HandshakesWithAWrongByteAnywhere) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  const std::string hello = ClientHello();
  for (size_t at = 0; at < hello.size(); at += 3) {
    std::string wrong = hello;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x41);
    Client client(proxy.endpoint());
    client.Send(wrong);
    client.socket().ShutdownWrite();
    EXPECT_TRUE(client.ServerClosed());
  }
  ExpectWell(proxy);
}

TEST_F(TlsAttack, AFloodOfHandshakesLeavesNothingBehind) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  const std::string hello = ClientHello();
  const auto flood = [&] {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 300; ++i) {
      clients.push_back(std::make_unique<Client>(proxy.endpoint()));
      clients.back()->Send(hello);  // and never answers the server's part
    }
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() >= 300; }));
    // All of them are in the middle of their handshakes at once, each time.
    for (auto& client : clients) {
      std::string answer;
      EXPECT_EQ(client->socket().Receive(&answer), Io::kOk);
    }
  };
  flood();
  ExpectWell(proxy);
  const uint64_t before = proxy.LargestWorkerRss();
  for (int round = 0; round < 3; ++round) flood();
  ExpectWell(proxy);
  EXPECT_TRUE(Instrumented() || proxy.LargestWorkerRss() < before + (8u << 20)) << before << " " << proxy.LargestWorkerRss();
}

TEST_F(TlsAttack, RecordsOfOneByte) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  for (const bool tls12 : {true, false}) {
    TlsClient client(proxy.endpoint(), {.tls12 = tls12});
    const std::string body(2000, 'x');
    for (const char c : RequestText("POST", "/", "Connection: close\r\n", body)) ASSERT_TRUE(client.Send({&c, 1}));
    EXPECT_TRUE(Contains(client.ReadAll(), body));
  }
  ExpectWell(proxy);
}

TEST_F(TlsAttack, NobodyGetsASecondHandshake) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  TlsClient client(proxy.endpoint(), {.tls12 = true});
  ASSERT_EQ(client.Get(), 200);
  SSL_renegotiate(client.ssl());
  EXPECT_NE(SSL_do_handshake(client.ssl()), 1);
  ExpectWell(proxy);
}

TEST_F(TlsAttack, NonsenseAfterTheHandshake) {
  Gate gate;
  FakeBackend slow([&](Exchange& exchange) {
    if (exchange.request.target == "/slow") exchange.Wait(gate);
    exchange.Reply(200, "x");
  });
  ConfigFile config = TlsConfigFile(files_, "a").Workers(1).Backend(slow);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  const std::vector<std::string> records = {
      std::string("\x15\x03\x03\x00\x02\x02\x28", 7),                 // an alert in the clear
      std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'),  // a record that nobody encrypted
      std::string("\x17\x03\x03\xff\xff", 5),                         // one that is too long
      std::string("\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9),         // another ClientHello
      std::string("\x14\x03\x03\x00\x01\x01", 6), "GET / HTTP/1.1\r\n\r\n", std::string(1, '\0')};
  for (const std::string& record : records) {
    for (const char* when : {"", "GET / HT", "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
                             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"}) {
      for (const bool tls12 : {true, false}) {
        TlsClient client(proxy.endpoint(), {.tls12 = tls12});
        if (*when != '\0') client.Send(when);
        EXPECT_GE(send(client.fd(), record.data(), record.size(), MSG_NOSIGNAL), 0);
        shutdown(client.fd(), SHUT_WR);
      }
    }
  }
  EXPECT_TRUE(WaitFor([&] { return proxy.InFlight() == 0; }));
  gate.Open();
  ExpectWell(proxy);
}

}  // namespace
}  // namespace ub::itest
