// The PROXY protocol, versions 1 and 2: the head that a TCP proxy in front of us puts before a connection's own bytes to
// say who its client is. (The specification is HAProxy's, doc/proxy-protocol.txt.)
//
// Pure function over bytes; strict, for whoever may send it may name any client. Worker process, once a connection and
// only where proxy_protocol.accept asks for it. No allocation.
#ifndef UB_HTTP_PROXY_HEADER_H_
#define UB_HTTP_PROXY_HEADER_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "event/address.h"

namespace ub {

// A version 1 line is at most 107 bytes. Version 2 can announce 64 KiB of extra values, and nobody sends a tenth of what is
// taken here.
inline constexpr size_t kMaxProxyHeadBytes = 4096;

struct ProxyHead {
  // The client that the sender names; none for UNKNOWN, LOCAL (the sender's own, a health check) and families that are
  // not TCP over IP: the connection's own peer is meant.
  std::optional<PeerAddress> source;
  bool tls = false;  // version 2: the client speaks TLS with the sender
  size_t bytes = 0;  // of the head
};

enum class ProxyVerdict : uint8_t { kIncomplete, kComplete, kBad };

// `bytes` begins with the head. kComplete fills *head; kBad sets *reason to a literal. The verdict does not depend on how
// the bytes were cut.
ProxyVerdict ParseProxyHead(std::string_view bytes, ProxyHead* head, const char** reason);

}  // namespace ub

#endif  // UB_HTTP_PROXY_HEADER_H_
