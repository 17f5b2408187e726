// TLS on one connection, over OpenSSL. Private to src/event/tls_*.cc; others get it from a context
// (tls_context.h).
#ifndef UB_EVENT_TLS_TRANSPORT_H_
#define UB_EVENT_TLS_TRANSPORT_H_

#include <memory>

#include "event/tls_openssl.h"
#include "event/transport.h"

namespace ub {

// `ssl` is set to one of the two sides already. `context` is what its callbacks point into.
std::unique_ptr<Transport> MakeTlsTransport(SslPtr ssl, std::shared_ptr<const void> context);

}  // namespace ub

#endif  // UB_EVENT_TLS_TRANSPORT_H_
