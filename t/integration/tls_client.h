// TLS as a client speaks it: one connection with its outcome, and a relay that lets every other helper of these tests
// (Client, LoadGenerator) talk to a TLS listener without knowing it.
#ifndef UB_INTEGRATION_TLS_CLIENT_H_
#define UB_INTEGRATION_TLS_CLIENT_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "support/test_certificates.h"
#include "thread_crowd.h"
#include "wire.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_session_st SSL_SESSION;

namespace ub::itest {

struct TlsOptions {
  std::string name{};            // SNI
  std::string alpn{};            // "http/1.1,h2"
  std::string ciphers{};         // of TLS 1.2
  bool ocsp = false;             // ask for a stapled response
  bool tls12 = false;            // speak nothing newer
  std::string before{};          // bytes in the clear before the handshake: a PROXY head
  const TestCertificate* identity = nullptr;
};

// A blocking TLS connection.
class TlsClient {
 public:
  // `session`: to be resumed; it may be null.
  TlsClient(const Endpoint& to, const TlsOptions& options, SSL_SESSION* session = nullptr);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  const std::string& error() const { return error_; }
  std::string subject() const;   // common name of the server's certificate
  std::string version() const;   // "TLSv1.3"
  std::string protocol() const;  // by ALPN
  bool resumed() const;
  std::string ocsp() const;      // the stapled response (options.ocsp)
  bool Send(std::string_view bytes);
  // What comes until the peer ends; *orderly: it said so by close_notify.
  std::string ReadAll(bool* orderly = nullptr);
  // One GET on this connection, answered with Content-Length; the status, 0 where none came.
  int Get(std::string_view target = "/", std::string* body = nullptr);
  // A session to resume, which arrives with the first bytes; the caller frees it (FreeSession).
  SSL_SESSION* TakeSession();
  static void FreeSession(SSL_SESSION* session);
  SSL* ssl() { return ssl_; }
  int fd() const { return socket_.fd(); }
  // Sends close_notify.
  void Close();

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  Socket socket_;
  bool connected_ = false;
  std::string error_;
  std::string received_;
};

// Listens in the clear and relays each connection over TLS. An end that TLS did not announce becomes a reset.
class TlsRelay {
 public:
  explicit TlsRelay(Endpoint to, TlsOptions options = {});
  ~TlsRelay();
  TlsRelay(const TlsRelay&) = delete;

  const Endpoint& endpoint() const { return at_; }
  uint64_t failed() const { return failed_; }  // connections whose handshake failed

 private:
  void AcceptLoop();
  void Relay(UniqueFd fd);
  void Linger(int fd);

  const Endpoint to_;
  const TlsOptions options_;
  Endpoint at_;
  UniqueFd listener_, stop_event_;
  std::atomic<uint64_t> failed_{0};
  ThreadCrowd threads_;
  std::thread acceptor_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_TLS_CLIENT_H_
