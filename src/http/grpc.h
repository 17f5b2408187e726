// What a proxy must know of gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): which requests
// are gRPC, what they are told where we answer ourselves, and how long they wait.
//
// Pure. Worker process.
#ifndef UB_HTTP_GRPC_H_
#define UB_HTTP_GRPC_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace ub {

// Whether a content type is application/grpc, or one of its kin ("application/grpc+proto"); gRPC-Web is another protocol.
bool IsGrpc(std::string_view content_type);

// The code of gRPC for an answer of ours that HTTP would give this status: 14 (UNAVAILABLE) for 502 and 503, 4
// (DEADLINE_EXCEEDED) for 504, 8 (RESOURCE_EXHAUSTED) for 429.
uint32_t GrpcStatusOf(uint16_t http_status);

// The deadline that grpc-timeout sets, in nanoseconds from the request's beginning. Nothing: none, or no valid one.
std::optional<uint64_t> GrpcTimeoutNs(const HeaderList& headers);

}  // namespace ub

#endif  // UB_HTTP_GRPC_H_
