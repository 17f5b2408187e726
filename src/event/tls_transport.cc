#include "event/tls_transport.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "event/tls_digest.h"

namespace ub {
namespace {

constexpr size_t kRecordBytes = 16 * 1024;  // the most that one record holds

class TlsTransport final : public Transport {
 public:
  TlsTransport(SslPtr ssl, std::shared_ptr<const void> context)
      : context_(std::move(context)), ssl_(std::move(ssl)) {}
  // False where memory has run out.
  bool Prepare();

  IoResult Handshake(int fd) override;
  IoResult Read(int fd, char* data, size_t capacity) override;
  IoResult Write(int fd, const iovec* pieces, int count) override;
  bool ShutdownWrite(int fd) override;
  void Farewell(int fd) override;
  bool AtEnd(int fd) override;
  int PendingError(int fd) override;
  // The kernel had no more than was taken, and nothing of that lies here.
  bool short_read_means_empty() const override {
    return drained_ && SSL_has_pending(ssl_.get()) == 0;
  }
  bool plain() const override { return false; }
  bool read_wants_write() const override { return read_wants_write_; }
  bool write_wants_read() const override { return write_wants_read_; }
  std::string_view protocol() const override;
  std::string FailureText() const override { return failure_; }
  bool resumed() const override { return SSL_session_reused(ssl_.get()) == 1; }
  PeerCertificate certificate() const override;

 private:
  static BIO_METHOD* Method();
  static int BioRead(BIO* bio, char* data, int capacity);
  static int BioWrite(BIO* bio, const char* data, int size);
  static long BioControl(BIO* bio, int command, long number, void* pointer);
  void Begin(int fd) {
    fd_ = fd;
    errno_ = 0;
    ERR_clear_error();
  }
  IoResult Failure(int result);
  IoResult WriteSome(const char* data, size_t size);

  std::shared_ptr<const void> context_;
  SslPtr ssl_;
  int fd_ = -1;    // of the call that is under way
  int errno_ = 0;  // of the last system call that failed in it
  bool drained_ = false;
  bool read_wants_write_ = false, write_wants_read_ = false;
  bool ended_ = false;   // close_notify was sent, or never may be
  IoResult read_end_{};  // how reading ended; kOk: it has not
  std::string failure_;
};

// A socket's BIO of our own: OpenSSL's does not tell that a read has emptied the socket, and its
// writes raise SIGPIPE.
BIO_METHOD* TlsTransport::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ultrabalancer");
    BIO_meth_set_read(made, &TlsTransport::BioRead);
    BIO_meth_set_write(made, &TlsTransport::BioWrite);
    BIO_meth_set_ctrl(made, &TlsTransport::BioControl);
    return made;
  }();
  return method;
}

bool TlsTransport::Prepare() {
  BIO* bio = BIO_new(Method());
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  return true;
}

int TlsTransport::BioRead(BIO* bio, char* data, int capacity) {
  auto* self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do {
    n = recv(self->fd_, data, static_cast<size_t>(capacity), 0);
  } while (n < 0 && errno == EINTR);
  self->drained_ = n < capacity;
  if (n < 0) {
    self->errno_ = errno;
    if (errno == EAGAIN) BIO_set_retry_read(bio);
  }
  return static_cast<int>(n);
}

int TlsTransport::BioWrite(BIO* bio, const char* data, int size) {
  auto* self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do {
    n = send(self->fd_, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    self->errno_ = errno;
    if (errno == EAGAIN) BIO_set_retry_write(bio);
  }
  return static_cast<int>(n);
}

long TlsTransport::BioControl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

// What a call that did not succeed means; kWouldBlock: it is to be repeated.
IoResult TlsTransport::Failure(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {IoState::kWouldBlock, 0, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {IoState::kEof, 0, 0};
    case SSL_ERROR_SYSCALL:  // also an end without close_notify: whoever is in between may have cut the stream
      ended_ = true;
      failure_ = errno_ == 0 ? "the peer closed the connection" : strerror(errno_);
      ERR_clear_error();
      return {IoState::kError, errno_ == 0 ? ECONNRESET : errno_, 0};
    default:
      break;
  }
  ended_ = true;
  failure_ = OpenSslError();
  const long verdict = SSL_get_verify_result(ssl_.get());
  if (verdict != X509_V_OK)
    failure_ += fmt::format(" ({})", X509_verify_cert_error_string(verdict));
  return {IoState::kError, EPROTO, 0};
}

IoResult TlsTransport::Handshake(int fd) {
  Begin(fd);
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return {};
  const IoResult failure = Failure(result);
  if (failure.state != IoState::kEof) return failure;
  failure_ = "the peer ended the connection";
  return {IoState::kError, ECONNRESET, 0};
}

IoResult TlsTransport::Read(int fd, char* data, size_t capacity) {
  if (read_end_.state != IoState::kOk) return read_end_;
  Begin(fd);
  read_wants_write_ = false;
  drained_ = false;  // of a peek before this, after which more may have come
  size_t got = 0;
  for (;;) {
    size_t n = 0;
    const int result = SSL_read_ex(ssl_.get(), data + got, capacity - got, &n);
    if (result != 1) {
      const IoResult failure = Failure(result);
      if (failure.state == IoState::kWouldBlock) {
        read_wants_write_ = SSL_want_write(ssl_.get());
      } else {
        read_end_ = failure;
      }
      if (got == 0) return failure;
      break;
    }
    got += n;
    if (got == capacity || SSL_has_pending(ssl_.get()) == 0) break;
  }
  // What ended it is told by the next read, which must come.
  if (read_end_.state != IoState::kOk) drained_ = false;
  return {IoState::kOk, 0, got};
}

IoResult TlsTransport::WriteSome(const char* data, size_t size) {
  size_t n = 0;
  const int result = SSL_write_ex(ssl_.get(), data, size, &n);
  if (result == 1) return {IoState::kOk, 0, n};
  const IoResult failure = Failure(result);
  if (failure.state == IoState::kWouldBlock) write_wants_read_ = SSL_want_read(ssl_.get());
  return failure.state == IoState::kEof ? IoResult{IoState::kError, EPIPE, 0} : failure;
}

IoResult TlsTransport::Write(int fd, const iovec* pieces, int count) {
  Begin(fd);
  write_wants_read_ = false;
  // Small pieces go out in one record. One thread a process has TLS.
  static std::array<char, kRecordBytes> gathered;
  size_t sent = 0, skip = 0;
  for (int at = 0; at < count;) {
    const char* from = static_cast<const char*>(pieces[at].iov_base) + skip;
    size_t size = pieces[at].iov_len - skip;
    if (size < kRecordBytes && at + 1 < count) {
      size_t filled = 0;
      for (int i = at; i < count && filled < kRecordBytes; ++i) {
        const size_t begin = i == at ? skip : 0;
        const size_t taken = std::min(pieces[i].iov_len - begin, kRecordBytes - filled);
        if (taken > 0)
          std::memcpy(gathered.data() + filled,
                      static_cast<const char*>(pieces[i].iov_base) + begin, taken);
        filled += taken;
      }
      from = gathered.data();
      size = filled;
    }
    if (size == 0) break;
    const IoResult result = WriteSome(from, size);
    if (result.state == IoState::kError) return result;
    sent += result.bytes;
    if (result.state != IoState::kOk) break;
    skip += result.bytes;
    while (at < count && skip >= pieces[at].iov_len) skip -= pieces[at++].iov_len;
  }
  return sent == 0 ? IoResult{IoState::kWouldBlock, 0, 0} : IoResult{IoState::kOk, 0, sent};
}

bool TlsTransport::ShutdownWrite(int fd) {
  Begin(fd);
  if (!ended_) {
    const int result = SSL_shutdown(ssl_.get());
    if (result < 0 && Failure(result).state == IoState::kWouldBlock) return false;
    ended_ = true;
  }
  shutdown(fd, SHUT_WR);
  return true;
}

void TlsTransport::Farewell(int fd) {
  // A peer that has ended its direction waits for nothing more.
  if (ended_ || read_end_.state != IoState::kOk || SSL_is_init_finished(ssl_.get()) == 0) return;
  Begin(fd);
  ended_ = true;
  (void)SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

bool TlsTransport::AtEnd(int fd) {
  if (read_end_.state != IoState::kOk) return true;
  Begin(fd);
  char byte;
  size_t n = 0;
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &n);
  if (result == 1) return false;
  const IoResult failure = Failure(result);
  if (failure.state == IoState::kWouldBlock) return false;
  read_end_ = failure;
  return true;
}

// An end without close_notify is an error though the socket has none.
int TlsTransport::PendingError(int fd) {
  if (AtEnd(fd) && read_end_.state == IoState::kError) return read_end_.error;
  return Transport::PendingError(fd);
}

std::string_view TlsTransport::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

PeerCertificate TlsTransport::certificate() const {
  PeerCertificate out;
  X509* const peer = SSL_get0_peer_certificate(ssl_.get());
  if (peer == nullptr) return out;
  const BioPtr text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), X509_get_subject_name(peer), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  long size = BIO_get_mem_data(text.get(), &data);
  out.subject.assign(data, static_cast<size_t>(size));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned digest_size = 0;
  X509_digest(peer, EVP_sha256(), digest.data(), &digest_size);
  for (unsigned i = 0; i < digest_size; ++i) out.fingerprint += fmt::format("{:02x}", digest[i]);
  unsigned char* der = nullptr;
  const int der_size = i2d_X509(peer, &der);
  if (der_size > 0) {
    out.der_base64 = Base64({reinterpret_cast<const char*>(der), static_cast<size_t>(der_size)});
    OPENSSL_free(der);
  }
  return out;
}

}  // namespace

std::unique_ptr<Transport> MakeTlsTransport(SslPtr ssl, std::shared_ptr<const void> context) {
  auto transport = std::make_unique<TlsTransport>(std::move(ssl), std::move(context));
  if (!transport->Prepare()) return nullptr;
  return transport;
}

}  // namespace ub
