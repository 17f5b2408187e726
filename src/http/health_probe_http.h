// Active checks by HTTP: one request, the status compared, with GET also a piece of the body. See HealthProbe.
#ifndef UB_HTTP_HEALTH_PROBE_HTTP_H_
#define UB_HTTP_HEALTH_PROBE_HTTP_H_

#include "upstream/health_probe.h"

namespace ub {

// Whether `status` is one of those that mean a well backend.
bool StatusExpected(const HealthCheckConfig& config, uint16_t status);

// Makes an HTTP probe where the configuration asks for one, by HTTP/2 where the backend speaks that; a gRPC probe; else a TCP
// probe.
class HttpProbeFactory final : public HealthProbeFactory {
 public:
  std::unique_ptr<HealthProbe> Make(EventLoop* loop, const HealthCheckConfig& config, BackendProtocol protocol,
                                    ProbeHandler* handler) override;
};

}  // namespace ub

#endif  // UB_HTTP_HEALTH_PROBE_HTTP_H_
