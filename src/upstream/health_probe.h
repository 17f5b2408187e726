// One active check of one backend, and the seam through which the controller gets HTTP checks: upstream knows no HTTP.
//
// Controller process. A probe opens its own connection, closes it, and calls its handler exactly once, unless it
// is destroyed before; it must not be destroyed within that call (EventLoop::Retire).
#ifndef UB_UPSTREAM_HEALTH_PROBE_H_
#define UB_UPSTREAM_HEALTH_PROBE_H_

#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/config.h"
#include "event/connection.h"
#include "upstream/backend_security.h"

namespace ub {

class ProbeHandler {
 public:
  virtual ~ProbeHandler() = default;
  // `reason`: why it failed, in a few words, for the log.
  virtual void OnProbeDone(bool success, std::string_view reason) = 0;
};

struct ProbeTarget {
  const sockaddr* address = nullptr;
  socklen_t bytes = 0;
  std::string_view text;  // "10.0.0.1:80", also the Host of HTTP checks
  const BackendSecurity* security = nullptr;  // null: plain text
  const BackendSlot* backend = nullptr;       // with `security`
};

// A connection to it, as Connection::Connect. `h2`: to speak HTTP/2 over, which TLS is told.
Result<std::unique_ptr<Connection>> ConnectToTarget(EventLoop* loop, const ProbeTarget& target,
                                                    ConnectionHandler* handler, bool* connected,
                                                    bool h2 = false);
// Why it did not come to be, for OnProbeDone.
std::string ConnectFailure(const Connection& connection, int error);

class HealthProbe : public Retirable {
 public:
  // Begins; the handler may be called before this returns.
  virtual void Start(const ProbeTarget& target) = 0;
};

class HealthProbeFactory {
 public:
  virtual ~HealthProbeFactory() = default;
  // `config` and `handler` outlive the probe. `protocol`: what the backend speaks.
  virtual std::unique_ptr<HealthProbe> Make(EventLoop* loop, const HealthCheckConfig& config, BackendProtocol protocol,
                                            ProbeHandler* handler) = 0;
};

// Checks that a connection can be made, and nothing more.
class TcpProbeFactory final : public HealthProbeFactory {
 public:
  std::unique_ptr<HealthProbe> Make(EventLoop* loop, const HealthCheckConfig& config, BackendProtocol protocol,
                                    ProbeHandler* handler) override;
};

}  // namespace ub

#endif  // UB_UPSTREAM_HEALTH_PROBE_H_
