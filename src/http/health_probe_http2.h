// Active checks by HTTP/2: the same request as health_probe_http makes, or gRPC's health protocol (grpc.health.v1.Health/Check,
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
//
// Controller process; one connection and one stream a check. See HealthProbe.
#ifndef UB_HTTP_HEALTH_PROBE_HTTP2_H_
#define UB_HTTP_HEALTH_PROBE_HTTP2_H_

#include <memory>
#include <string>
#include <string_view>

#include "upstream/health_probe.h"

namespace ub {

// For `config` of type http or grpc, which outlives it as `handler` does.
std::unique_ptr<HealthProbe> MakeHttp2Probe(EventLoop* loop, const HealthCheckConfig& config, ProbeHandler* handler);

// A HealthCheckRequest for `service`, as gRPC puts it on the wire: 5 bytes that say how long it is, and the message.
std::string GrpcHealthRequest(std::string_view service);
// What a HealthCheckResponse on the wire says. Empty: SERVING; else why the backend is not well.
std::string GrpcHealthVerdict(std::string_view response);

}  // namespace ub

#endif  // UB_HTTP_HEALTH_PROBE_HTTP2_H_
