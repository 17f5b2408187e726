// Any bytes as a PROXY protocol head: the verdict must not depend on how they are cut, and an accepted head keeps to what its
// header promises.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/proxy_header.h"

namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ub::ProxyHead whole;
  const char* reason = "";
  const ub::ProxyVerdict verdict = ub::ParseProxyHead(bytes, &whole, &reason);
  Require(verdict != ub::ProxyVerdict::kBad || *reason != '\0');
  Require(verdict != ub::ProxyVerdict::kIncomplete || size < ub::kMaxProxyHeadBytes);
  for (size_t end = 0; end <= size; ++end) {
    // A block of its own for each call, as after a buffer has moved.
    const std::string moved(bytes.substr(0, end));
    ub::ProxyHead head;
    const ub::ProxyVerdict cut = ub::ParseProxyHead(moved, &head, &reason);
    if (cut == ub::ProxyVerdict::kIncomplete) {
      continue;
    }
    Require(cut == verdict);
    if (cut == ub::ProxyVerdict::kComplete) {
      Require(head.bytes == end && whole.bytes == end && end <= ub::kMaxProxyHeadBytes);
      Require(head.tls == whole.tls && head.source.has_value() == whole.source.has_value());
      Require(!head.source || head.source->bytes() == whole.source->bytes());
    }
    return 0;
  }
  Require(verdict == ub::ProxyVerdict::kIncomplete);
  return 0;
}
