#include "http/worker_context.h"

#include <array>
#include <cstring>

#include "http/proxy_session.h"

namespace ub {

SessionPool::SessionPool() = default;
SessionPool::~SessionPool() = default;

ProxySession* SessionPool::Take(WorkerContext* context) {
  if (free_.empty()) {
    all_.push_back(std::make_unique<ProxySession>(context));
    return all_.back().get();
  }
  ProxySession* session = free_.back();
  free_.pop_back();
  return session;
}

void SessionPool::Recycle() {
  free_.insert(free_.end(), done_.begin(), done_.end());
  done_.clear();
}

namespace {

// Two digits for each byte: half the steps of one digit at a time.
constexpr std::array<std::array<char, 2>, 256> MakeHexPairs() {
  constexpr char kHex[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (size_t byte = 0; byte < pairs.size(); ++byte) pairs[byte] = {kHex[byte >> 4], kHex[byte & 15]};
  return pairs;
}
constexpr auto kHexPairs = MakeHexPairs();

}  // namespace

void WorkerContext::NewRequestId(std::string* out) {
  out->resize(32);
  char* at = out->data();
  for (int half = 0; half < 2; ++half) {
    uint64_t bits = random.Next();
    for (int i = 0; i < 8; ++i, bits >>= 8, at += 2) std::memcpy(at, kHexPairs[bits & 255].data(), 2);
  }
}

}  // namespace ub
