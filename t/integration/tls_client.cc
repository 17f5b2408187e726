#include "tls_client.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

namespace ub::itest {
namespace {

void SetBlocking(int fd, bool blocking) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

void SetTimeouts(int fd) {
  const int ms = Deadline(kLimit).PollMs();
  const timeval limit{ms / 1000, (ms % 1000) * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason == nullptr ? "closed" : reason;
}

void UseIdentity(SSL* ssl, const TestCertificate& identity) {
  BIO* reader = BIO_new_mem_buf(identity.certificate.data(), static_cast<int>(identity.certificate.size()));
  X509* certificate = PEM_read_bio_X509(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  reader = BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  SSL_use_certificate(ssl, certificate);
  SSL_use_PrivateKey(ssl, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

}  // namespace

TlsClient::TlsClient(const Endpoint& to, const TlsOptions& options, SSL_SESSION* session)
    : context_(SSL_CTX_new(TLS_client_method())) {
  signal(SIGPIPE, SIG_IGN);  // OpenSSL's writes would end the test where the server has left
  socket_ = Socket::Connect(to);
  if (!socket_.valid()) {
    error_ = "not connected";
    return;
  }
  if (!options.before.empty()) socket_.Send(options.before);
  SetBlocking(socket_.fd(), true);
  SetTimeouts(socket_.fd());
  if (options.tls12) SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
  if (!options.ciphers.empty()) SSL_CTX_set_cipher_list(context_, options.ciphers.c_str());
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, socket_.fd());
  if (!options.name.empty()) SSL_set_tlsext_host_name(ssl_, options.name.c_str());
  if (options.identity != nullptr) UseIdentity(ssl_, *options.identity);
  if (options.ocsp) SSL_set_tlsext_status_type(ssl_, TLSEXT_STATUSTYPE_ocsp);
  if (session != nullptr) SSL_set_session(ssl_, session);
  std::string wire;
  for (const std::string& each : Split(options.alpn, ',')) {
    if (!each.empty()) wire += static_cast<char>(each.size()) + each;
  }
  if (!wire.empty()) {
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(wire.data()), static_cast<unsigned>(wire.size()));
  }
  ERR_clear_error();
  connected_ = SSL_connect(ssl_) == 1;
  if (!connected_) error_ = LastError();
}

TlsClient::~TlsClient() {
  // A session whose connection was not shut down would count as bad and not be resumed.
  if (ssl_ != nullptr) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN);
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

std::string TlsClient::subject() const {
  X509* shown = ssl_ == nullptr ? nullptr : SSL_get1_peer_certificate(ssl_);
  if (shown == nullptr) return "";
  char text[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, text, sizeof text);
  X509_free(shown);
  return text;
}

std::string TlsClient::version() const { return ssl_ == nullptr ? "" : SSL_get_version(ssl_); }

std::string TlsClient::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsClient::resumed() const { return ssl_ != nullptr && SSL_session_reused(ssl_) == 1; }

std::string TlsClient::ocsp() const {
  const unsigned char* der = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(ssl_, &der);
  return size <= 0 ? "" : std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

bool TlsClient::Send(std::string_view bytes) {
  size_t written = 0;
  return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) == 1 && written == bytes.size();
}

std::string TlsClient::ReadAll(bool* orderly) {
  for (;;) {
    char bytes[16384];
    const int n = SSL_read(ssl_, bytes, sizeof bytes);
    if (n > 0) {
      received_.append(bytes, static_cast<size_t>(n));
      continue;
    }
    if (orderly != nullptr) *orderly = SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN;
    error_ = LastError();
    return std::move(received_);
  }
}

int TlsClient::Get(std::string_view target, std::string* body) {
  if (!connected_ || !Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: test.example\r\n\r\n")) return 0;
  for (;;) {
    const size_t end = received_.find("\r\n\r\n");
    const size_t at = received_.find("Content-Length: ");
    if (end != std::string::npos && at != std::string::npos && at < end) {
      size_t length = 0;
      std::from_chars(received_.data() + at + 16, received_.data() + end, length);
      if (received_.size() >= end + 4 + length) {
        const int status = atoi(received_.c_str() + 9);
        if (body != nullptr) *body = received_.substr(end + 4, length);
        received_.erase(0, end + 4 + length);
        return status;
      }
    }
    char bytes[16384];
    const int n = SSL_read(ssl_, bytes, sizeof bytes);
    if (n <= 0) {
      error_ = LastError();
      return 0;
    }
    received_.append(bytes, static_cast<size_t>(n));
  }
}

SSL_SESSION* TlsClient::TakeSession() { return SSL_get1_session(ssl_); }
void TlsClient::FreeSession(SSL_SESSION* session) { SSL_SESSION_free(session); }
void TlsClient::Close() { SSL_shutdown(ssl_); }

TlsRelay::TlsRelay(Endpoint to, TlsOptions options)
    : to_(std::move(to)), options_(std::move(options)), at_(Endpoint::V4(0)) {
  listener_ = ListenAt(at_, 1024);
  at_.port = LocalPort(listener_.get());
  stop_event_.Reset(eventfd(0, EFD_CLOEXEC));
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

TlsRelay::~TlsRelay() {
  const uint64_t one = 1;
  (void)!write(stop_event_.get(), &one, sizeof one);
  acceptor_.join();
  threads_.Join();
}

void TlsRelay::AcceptLoop() {
  for (;;) {
    pollfd polled[] = {{listener_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0) return;
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    threads_.Run([this, fd = std::move(fd)]() mutable { Relay(std::move(fd)); });
  }
}

// Closing with something unread would be a reset, which takes along what the client has not read yet.
void TlsRelay::Linger(int fd) {
  shutdown(fd, SHUT_WR);
  char bytes[16384];
  for (;;) {
    pollfd polled[] = {{fd, POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0 || recv(fd, bytes, sizeof bytes, 0) <= 0) return;
  }
}

void TlsRelay::Relay(UniqueFd fd) {
  TlsClient client(to_, options_);
  const auto reset = [&fd] {
    const linger hard{1, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  };
  if (!client.connected()) {
    ++failed_;
    return reset();
  }
  // A read of nothing but session tickets must come back: what it would wait for may be the answer to bytes that still wait here.
  SSL_clear_mode(client.ssl(), SSL_MODE_AUTO_RETRY);
  bool local_open = true;
  char bytes[16384];
  for (;;) {
    pollfd polled[] = {{client.fd(), POLLIN, 0},
                       {local_open ? fd.get() : -1, POLLIN, 0},
                       {stop_event_.get(), POLLIN, 0}};
    const bool pending = SSL_has_pending(client.ssl()) != 0;
    if (poll(polled, 3, pending ? 0 : -1) < 0) continue;
    if (polled[2].revents != 0) return;
    if (polled[1].revents != 0) {
      const ssize_t n = recv(fd.get(), bytes, sizeof bytes, 0);
      if (n <= 0) {
        local_open = false;
        if (n < 0) return;
        client.Close();
        shutdown(client.fd(), SHUT_WR);
      } else if (!client.Send({bytes, static_cast<size_t>(n)})) {
        return reset();
      }
    }
    if (polled[0].revents == 0 && !pending) continue;
    const int n = SSL_read(client.ssl(), bytes, sizeof bytes);
    if (n <= 0) {
      const int why = SSL_get_error(client.ssl(), n);
      if (why == SSL_ERROR_WANT_READ) continue;
      return why == SSL_ERROR_ZERO_RETURN ? Linger(fd.get()) : reset();
    }
    for (int sent = 0; sent < n;) {
      const ssize_t took = send(fd.get(), bytes + sent, static_cast<size_t>(n - sent), MSG_NOSIGNAL);
      if (took <= 0) return;
      sent += static_cast<int>(took);
    }
  }
}

}  // namespace ub::itest
