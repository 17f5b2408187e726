// A backend that speaks TLS: takes it off and hands the connection on to a scripted backend.
#ifndef UB_INTEGRATION_TLS_BACKEND_H_
#define UB_INTEGRATION_TLS_BACKEND_H_

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "support/test_certificates.h"
#include "thread_crowd.h"
#include "wire.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace ub::itest {

class TlsBackend {
 public:
  // `client_ca`: clients must show a certificate that it has signed; null: they need not.
  TlsBackend(Endpoint behind, const TestCertificate& certificate, const TestCertificate* client_ca = nullptr);
  ~TlsBackend();
  TlsBackend(const TlsBackend&) = delete;

  std::string Yaml(const std::string& extra = "") const;
  const Endpoint& endpoint() const { return at_; }
  uint64_t handshakes() const { return handshakes_; }
  std::string last_name();              // that was asked for by SNI
  void set_cut(bool cut) { cut_ = cut; }  // ends connections without close_notify

 private:
  void AcceptLoop();
  void Serve(UniqueFd fd);

  const Endpoint behind_;
  Endpoint at_;
  SSL_CTX* context_;
  UniqueFd listener_, stop_event_;
  std::atomic<uint64_t> handshakes_{0};
  std::atomic<bool> cut_{false};
  std::mutex mutex_;
  std::string last_name_;
  ThreadCrowd threads_;
  std::thread acceptor_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_TLS_BACKEND_H_
