#include "event/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/ticket_keys.h"
#include "core/unique_fd.h"
#include "support/test_certificates.h"

namespace ub {
namespace {

CertificateConfig Entry(const TestCertificate& made) {
  return {made.subject + ".pem", made.subject + ".key", "", made.certificate, made.key, ""};
}

// A TLS client over one end of a socket pair, the server's transport at the other; both non-blocking, in turns.
class TlsContextTest : public testing::Test {
 protected:
  void SetUp() override {
    client_context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_options(client_context_, SSL_OP_IGNORE_UNEXPECTED_EOF);
  }
  void TearDown() override {
    FreeClient();
    SSL_CTX_free(client_context_);
  }
  // A session whose connection was not shut down would count as bad and not be resumed.
  void FreeClient() {
    if (client_ != nullptr) SSL_set_shutdown(client_, SSL_SENT_SHUTDOWN);
    SSL_free(client_);
  }
  void Serve(const TlsConfig& config, const ShmHeader* tickets = nullptr) {
    auto context = TlsServerContext::Create(config, tickets);
    ASSERT_TRUE(context) << context.error().ToString();
    context_ = *context;
  }
  void Connect(const std::string& name = "") {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    ours_.Reset(ends[0]);
    theirs_.Reset(ends[1]);
    FreeClient();
    client_ = SSL_new(client_context_);
    SSL_set_fd(client_, theirs_.get());
    SSL_set_connect_state(client_);
    if (!name.empty()) SSL_set_tlsext_host_name(client_, name.c_str());
    server_ = context_->NewTransport();
  }
  // True where both sides have come to an end of it.
  bool Handshake() {
    for (int turn = 0; turn < 20; ++turn) {
      const int client = SSL_do_handshake(client_);
      state_ = server_->Handshake(ours_.get());
      if (client == 1 && state_.state == IoState::kOk) return true;
      if (state_.state == IoState::kError) return false;
    }
    return false;
  }
  // The common name of the certificate that the client was shown.
  std::string Subject(const std::string& name) {
    Connect(name);
    if (!Handshake()) return "failed: " + server_->FailureText();
    X509* shown = SSL_get1_peer_certificate(client_);
    char text[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, text, sizeof text);
    X509_free(shown);
    return text;
  }
  std::string ServerReads(IoState* end, size_t capacity = 4096) {
    std::string all, piece(capacity, '\0');
    for (;;) {
      const IoResult result = server_->Read(ours_.get(), piece.data(), capacity);
      *end = result.state;
      if (result.state != IoState::kOk) return all;
      all.append(piece, 0, result.bytes);
    }
  }

  std::shared_ptr<const TlsServerContext> context_;
  std::unique_ptr<Transport> server_;
  SSL_CTX* client_context_ = nullptr;
  SSL* client_ = nullptr;
  UniqueFd ours_, theirs_;
  IoResult state_{};
};

TEST_F(TlsContextTest, TheNameThatIsAskedForPicksTheCertificate) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"first.example"})), Entry(MakeCertificate({"a.example", "*.a.example"})),
                         Entry(MakeCertificate({"www.a.example"})), Entry(MakeCertificate({"*.b.example"}))};
  Serve(config);
  for (const auto& [name, subject] : std::vector<std::pair<std::string, std::string>>{
           {"", "first.example"},
           {"first.example", "first.example"},
           {"a.example", "a.example"},
           {"A.Example", "a.example"},
           {"x.a.example", "a.example"},
           {"www.a.example", "www.a.example"},
           {"x.b.example", "*.b.example"},
           {"b.example", "first.example"},
           {"x.y.b.example", "first.example"},
           {"unknown.example", "first.example"}}) {
    EXPECT_EQ(Subject(name), subject) << name;
  }
}

TEST_F(TlsContextTest, BothKindsOfKeyServeOneName) {
  CertificateOrder rsa;
  rsa.names = {"a.example"};
  rsa.rsa = true;
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"other.example"})), Entry(MakeCertificate({"*.example", "a.example"})),
                         Entry(MakeCertificate(rsa))};
  Serve(config);
  SSL_CTX_set_max_proto_version(client_context_, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(client_context_, "ECDHE-RSA-AES128-GCM-SHA256");
  EXPECT_EQ(Subject("a.example"), "a.example");
  SSL_CTX_set_cipher_list(client_context_, "ECDHE-ECDSA-AES128-GCM-SHA256");
  EXPECT_EQ(Subject("a.example"), "*.example");
  EXPECT_EQ(Subject("nobody.test"), "other.example");
}

TEST_F(TlsContextTest, TheOldestVersionIsTheConfigured) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  config.min_version = "1.3";
  Serve(config);
  SSL_CTX_set_max_proto_version(client_context_, TLS1_2_VERSION);
  EXPECT_EQ(Subject("a.example"), "failed: unsupported protocol");
  SSL_CTX_set_max_proto_version(client_context_, TLS1_3_VERSION);
  EXPECT_EQ(Subject("a.example"), "a.example");
}

TEST_F(TlsContextTest, TheProtocolIsOurFirstThatTheClientSpeaksToo) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  config.alpn = {"http/1.1", "http/1.0"};
  Serve(config);
  const auto offer = [&](const std::string& list) {
    Connect("a.example");
    SSL_set_alpn_protos(client_, reinterpret_cast<const unsigned char*>(list.data()), static_cast<unsigned>(list.size()));
    return Handshake() ? std::string(server_->protocol()) : "failed: " + server_->FailureText();
  };
  EXPECT_EQ(offer("\x08http/1.0\x08http/1.1"), "http/1.1");
  EXPECT_EQ(offer("\x08http/1.0"), "http/1.0");
  EXPECT_EQ(offer("\x02h2\x08http/1.0"), "http/1.0");
  EXPECT_EQ(offer("\x02h2"), "failed: no application protocol");
  Connect("a.example");
  ASSERT_TRUE(Handshake());
  EXPECT_EQ(server_->protocol(), "");
}

TEST_F(TlsContextTest, BytesGoBothWaysWhateverTheirPieces) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config);
  Connect();
  ASSERT_TRUE(Handshake());
  EXPECT_EQ(SSL_write(client_, "abc", 3), 3);
  EXPECT_EQ(SSL_write(client_, "def", 3), 3);
  IoState end{};
  EXPECT_EQ(ServerReads(&end, 2), "abcdef");
  EXPECT_EQ(end, IoState::kWouldBlock);
  EXPECT_TRUE(server_->short_read_means_empty());

  // A whole response in many small pieces and a large one, over a socket that is full now and then.
  std::string large(300000, '\0'), expected, got;
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
  std::vector<std::string> parts = {"head", "", "\r\n", large, "end", std::string(20000, 'x'), "!"};
  for (const std::string& part : parts) expected += part;
  size_t sent = 0;
  while (got.size() < expected.size()) {
    if (sent < expected.size()) {
      std::vector<iovec> pieces;
      size_t at = 0;
      for (const std::string& part : parts) {
        const size_t skip = std::min(part.size(), sent > at ? sent - at : 0);
        pieces.push_back({const_cast<char*>(part.data()) + skip, part.size() - skip});
        at += part.size();
      }
      while (!pieces.empty() && pieces.front().iov_len == 0) pieces.erase(pieces.begin());
      const IoResult result = server_->Write(ours_.get(), pieces.data(), static_cast<int>(pieces.size()));
      ASSERT_NE(result.state, IoState::kError) << server_->FailureText();
      sent += result.bytes;
    }
    char bytes[5000];
    const int n = SSL_read(client_, bytes, sizeof bytes);
    if (n > 0) got.append(bytes, static_cast<size_t>(n));
  }
  EXPECT_EQ(sent, expected.size());
  EXPECT_TRUE(got == expected);
}

// A look at the end empties the socket into OpenSSL's buffer; what comes after it must not be taken for read.
TEST_F(TlsContextTest, WhatComesBetweenALookAndAReadIsNotForgotten) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config);
  Connect();
  ASSERT_TRUE(Handshake());
  EXPECT_EQ(SSL_write(client_, "abc", 3), 3);
  EXPECT_FALSE(server_->AtEnd(ours_.get()));
  EXPECT_EQ(SSL_write(client_, "def", 3), 3);
  std::string got;
  char bytes[64];
  for (int i = 0; i < 3 && (i == 0 || !server_->short_read_means_empty()); ++i) {
    const IoResult result = server_->Read(ours_.get(), bytes, sizeof bytes);
    if (result.state == IoState::kOk) got.append(bytes, result.bytes);
  }
  EXPECT_EQ(got, "abcdef");
}

TEST_F(TlsContextTest, AnEndWithoutAWordIsNone) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config);
  for (const bool orderly : {true, false}) {
    Connect();
    ASSERT_TRUE(Handshake());
    SSL_write(client_, "abc", 3);
    if (orderly) SSL_shutdown(client_);
    shutdown(theirs_.get(), SHUT_WR);
    EXPECT_FALSE(server_->AtEnd(ours_.get())) << "bytes wait";
    IoState end{};
    EXPECT_EQ(ServerReads(&end), "abc");
    EXPECT_EQ(end, orderly ? IoState::kEof : IoState::kError);
    EXPECT_TRUE(server_->AtEnd(ours_.get()));
    char byte;
    EXPECT_EQ(server_->Read(ours_.get(), &byte, 1).state, end) << "and so it stays";
  }
}

TEST_F(TlsContextTest, TheEndIsSaidOnce) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config);
  Connect();
  ASSERT_TRUE(Handshake());
  EXPECT_TRUE(server_->ShutdownWrite(ours_.get()));
  server_->Farewell(ours_.get());
  char byte;
  const int n = SSL_read(client_, &byte, 1);
  EXPECT_EQ(SSL_get_error(client_, n), SSL_ERROR_ZERO_RETURN);
  EXPECT_NE(SSL_get_shutdown(client_) & SSL_RECEIVED_SHUTDOWN, 0);
}

TEST_F(TlsContextTest, WhatIsNoTlsFails) {
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config);
  for (const std::string bytes : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\xff\xff garbage garbage", "\x15\x03\x01\0\x02\x02\x28"}) {
    Connect();
    EXPECT_EQ(send(theirs_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    shutdown(theirs_.get(), SHUT_WR);
    IoResult result{IoState::kWouldBlock};
    for (int i = 0; i < 3 && result.state == IoState::kWouldBlock; ++i) result = server_->Handshake(ours_.get());
    EXPECT_EQ(result.state, IoState::kError);
    EXPECT_NE(server_->FailureText(), "");
  }
}

TEST_F(TlsContextTest, SessionsAreResumedWhileTheirKeyLives) {
  auto header = std::make_unique<ShmHeader>();
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    header->ticket_keys_made = 0;
    ASSERT_TRUE(RotateTicketKeys(header.get(), 1).ok());
    SSL_CTX_set_max_proto_version(client_context_, version);
    Serve(config, header.get());
    Connect();
    ASSERT_TRUE(Handshake());
    EXPECT_FALSE(server_->resumed());
    char byte;
    SSL_read(client_, &byte, 1);  // where the ticket of TLS 1.3 comes
    SSL_SESSION* session = SSL_get1_session(client_);
    const auto resumes = [&] {
      Connect();
      SSL_set_session(client_, session);
      return Handshake() && server_->resumed();
    };
    EXPECT_TRUE(resumes());
    Serve(config, header.get());  // a reload, or another worker
    EXPECT_TRUE(resumes());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(RotateTicketKeys(header.get(), 1).ok());
    EXPECT_TRUE(resumes());
    ASSERT_TRUE(RotateTicketKeys(header.get(), 1).ok());
    EXPECT_FALSE(resumes()) << "the fourth new key has taken its place";
    EXPECT_EQ(state_.state, IoState::kOk) << "a full handshake instead";
    SSL_SESSION_free(session);
  }
}

TEST_F(TlsContextTest, NoTicketsNoResumption) {
  auto header = std::make_unique<ShmHeader>();
  ASSERT_TRUE(RotateTicketKeys(header.get(), 1).ok());
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  config.session_tickets = false;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX_set_max_proto_version(client_context_, version);
    Serve(config, header.get());
    Connect();
    ASSERT_TRUE(Handshake());
    char byte;
    SSL_read(client_, &byte, 1);
    SSL_SESSION* session = SSL_get1_session(client_);
    EXPECT_EQ(SSL_SESSION_has_ticket(session), 0);
    Connect();
    SSL_set_session(client_, session);
    ASSERT_TRUE(Handshake());
    EXPECT_FALSE(server_->resumed());
    SSL_SESSION_free(session);
  }
}

// Who proved nothing, or something else, must not come in by an old session.
TEST_F(TlsContextTest, OtherRulesForClientsEndSessions) {
  auto header = std::make_unique<ShmHeader>();
  ASSERT_TRUE(RotateTicketKeys(header.get(), 1).ok());
  TlsConfig config;
  config.certificates = {Entry(MakeCertificate({"a.example"}))};
  Serve(config, header.get());
  Connect();
  ASSERT_TRUE(Handshake());
  char byte;
  SSL_read(client_, &byte, 1);
  SSL_SESSION* session = SSL_get1_session(client_);
  config.client_ca = "ca";
  config.client_ca_pem = MakeCertificate({"ca.example"}).certificate;
  Serve(config, header.get());
  Connect();
  SSL_set_session(client_, session);
  EXPECT_FALSE(Handshake());
  EXPECT_EQ(server_->FailureText(), "peer did not return a certificate");
  config.client_optional = true;
  Serve(config, header.get());
  Connect();
  SSL_set_session(client_, session);
  EXPECT_TRUE(Handshake());
  EXPECT_FALSE(server_->resumed());
  EXPECT_EQ(server_->certificate().fingerprint, "");
  SSL_SESSION_free(session);
}

std::string Inspect(const TlsConfig& config) {
  std::string out;
  Config all;
  all.tls = config;
  for (const TlsFault& fault : InspectTls(all)) {
    out += (fault.warning ? "warning " : "") + fault.where + " " + std::to_string(fault.index) + ": " + fault.text + "\n";
  }
  return out;
}

TEST(InspectTls, SaysWhatIsWrongWithWhich) {
  const TestCertificate good = MakeCertificate({"good"}), other = MakeCertificate({"other"});
  TlsConfig config;
  config.certificates = {Entry(good)};
  EXPECT_EQ(Inspect(config), "");
  config.certificates.push_back(Entry(other));
  config.certificates[1].key_pem = good.key;
  EXPECT_EQ(Inspect(config), "key 1: other.key is not the key of other.pem\n");
  config.certificates[1].key_pem = "nothing";
  EXPECT_EQ(Inspect(config), "key 1: other.key has no private key in it (PEM is expected)\n");
  config.certificates[1].key_pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_EQ(Inspect(config), "key 1: other.key is encrypted (take the passphrase off: openssl pkey)\n");
  config.certificates[1].certificate_pem = other.key;
  EXPECT_EQ(Inspect(config),
            "certificate 1: other.pem has no certificate in it, or a broken one (PEM is expected: -----BEGIN CERTIFICATE-----)\n");
  // A broken block would leave out what comes behind it.
  config.certificates[1] = Entry(other);
  config.certificates[1].certificate_pem +=
      "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + good.certificate;
  EXPECT_EQ(Inspect(config),
            "certificate 1: other.pem has no certificate in it, or a broken one (PEM is expected: -----BEGIN CERTIFICATE-----)\n");
  config.certificates.pop_back();
  config.ciphers = "NONSENSE";
  EXPECT_EQ(Inspect(config), "tls.ciphers 0: \"NONSENSE\": no cipher match\n");
  config.ciphers = "ECDHE+AESGCM";
  config.curves = "P-256:K-1";
  EXPECT_EQ(Inspect(config), "tls.curves 0: \"P-256:K-1\" is not a list of known groups (X25519:P-256:P-384)\n");
}

TEST(InspectTls, LooksAtTheCalendar) {
  for (const auto& [days, begin, text] : std::vector<std::tuple<int, int, std::string>>{
           {-3, -60, "expired on "}, {3, -60, ", in 3 days (renew it)"}, {40, 2, "is not valid before "}}) {
    CertificateOrder order;
    order.names = {"a"};
    order.days = days;
    order.begins_in_days = begin;
    TlsConfig config;
    config.certificates = {Entry(MakeCertificate(order))};
    Config all;
    all.tls = config;
    const std::vector<TlsFault> faults = InspectTls(all);
    ASSERT_EQ(faults.size(), 1u) << text;
    EXPECT_NE(faults[0].text.find(text), std::string::npos) << faults[0].text;
    EXPECT_EQ(faults[0].warning, days > 0);
  }
}

}  // namespace
}  // namespace ub
