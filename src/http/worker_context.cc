#include "http/worker_context.h"

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

void WorkerContext::NewRequestId(std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->resize(32);
  char* at = out->data();
  for (int half = 0; half < 2; ++half) {
    uint64_t bits = random.Next();
    for (int i = 0; i < 16; ++i, bits >>= 4) *at++ = kHex[bits & 15];
  }
}

}  // namespace ub
