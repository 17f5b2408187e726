// Whether backends are spoken to by TLS, and how: the context for it, and the name that each must prove to have.
//
// One in each worker, for requests, and one in the controller, for health checks. Rebuilt where `backend_tls` or the list of
// backends changed. Never falls back to plain text: where a transport cannot be made, there is no connection.
#ifndef UB_UPSTREAM_BACKEND_SECURITY_H_
#define UB_UPSTREAM_BACKEND_SECURITY_H_

#include <memory>
#include <string>

#include "core/config.h"
#include "core/shm_layout.h"
#include "event/tls_context.h"

namespace ub {

class BackendSecurity {
 public:
  // Error kConfig, and the old settings stay. *changed: connections that were made before must not be used any more.
  Status Configure(const Config& config, bool* changed);
  bool enabled() const { return context_ != nullptr; }
  // The client's side of one connection to that backend; null where memory has run out. Only where enabled().
  // `h2`: it is to be spoken to in HTTP/2.
  std::unique_ptr<Transport> NewTransport(const BackendSlot& slot, bool h2 = false) const;
  // Who a backend must be: backend_tls.server_name, or its host as it was written.
  std::string NameOf(const BackendSlot& slot) const;

 private:
  BackendTlsConfig config_;
  std::shared_ptr<const TlsClientContext> context_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_BACKEND_SECURITY_H_
