#include "tls_backend.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "fake_backend.h"

namespace ub::itest {
namespace {

X509* ReadCertificate(const std::string& pem) {
  BIO* reader = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  return certificate;
}

}  // namespace

TlsBackend::TlsBackend(Endpoint behind, const TestCertificate& certificate, const TestCertificate* client_ca)
    : behind_(std::move(behind)), at_(Endpoint::V4(0)), context_(SSL_CTX_new(TLS_server_method())) {
  signal(SIGPIPE, SIG_IGN);
  X509* own = ReadCertificate(certificate.certificate);
  BIO* reader = BIO_new_mem_buf(certificate.key.data(), static_cast<int>(certificate.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(reader, nullptr, nullptr, nullptr);
  BIO_free(reader);
  SSL_CTX_use_certificate(context_, own);
  SSL_CTX_use_PrivateKey(context_, key);
  X509_free(own);
  EVP_PKEY_free(key);
  if (client_ca != nullptr) {
    X509* authority = ReadCertificate(client_ca->certificate);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority);
    X509_free(authority);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  }
  listener_ = ListenAt(at_, 256);
  at_.port = LocalPort(listener_.get());
  stop_event_.Reset(eventfd(0, EFD_CLOEXEC));
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

TlsBackend::~TlsBackend() {
  const uint64_t one = 1;
  (void)!write(stop_event_.get(), &one, sizeof one);
  acceptor_.join();
  threads_.Join();
  SSL_CTX_free(context_);
}

std::string TlsBackend::Yaml(const std::string& extra) const { return BackendYaml(at_, extra); }

std::string TlsBackend::last_name() {
  const std::lock_guard lock(mutex_);
  return last_name_;
}

void TlsBackend::AcceptLoop() {
  for (;;) {
    pollfd polled[] = {{listener_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0) return;
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    threads_.Run([this, fd = std::move(fd)]() mutable { Serve(std::move(fd)); });
  }
}

void TlsBackend::Serve(UniqueFd fd) {
  const timeval limit{10, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_), SSL_free);
  SSL_set_fd(ssl.get(), fd.get());
  ERR_clear_error();
  if (SSL_accept(ssl.get()) != 1) return;
  {
    const std::lock_guard lock(mutex_);
    const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    last_name_ = name == nullptr ? "" : name;
  }
  ++handshakes_;
  Socket behind = Socket::Connect(behind_);
  char bytes[16384];
  for (;;) {
    pollfd polled[] = {{fd.get(), POLLIN, 0}, {behind.fd(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    const bool pending = SSL_has_pending(ssl.get()) != 0;
    if (poll(polled, 3, pending ? 0 : -1) < 0) continue;
    if (polled[2].revents != 0) return;
    if (polled[1].revents != 0) {
      const ssize_t n = recv(behind.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (n <= 0) {
        if (!cut_) SSL_shutdown(ssl.get());
        return;
      }
      if (SSL_write(ssl.get(), bytes, static_cast<int>(n)) <= 0) return;
    }
    if (polled[0].revents == 0 && !pending) continue;
    const int n = SSL_read(ssl.get(), bytes, sizeof bytes);
    if (n <= 0) return;
    if (behind.Send({bytes, static_cast<size_t>(n)}) != Io::kOk) return;
  }
}

}  // namespace ub::itest
