// A segment with one pool, the way a master and its workers have it: for the tests of the upstream layer.
#ifndef UB_T_UNIT_UPSTREAM_UPSTREAM_FIXTURE_H_
#define UB_T_UNIT_UPSTREAM_UPSTREAM_FIXTURE_H_

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/shm_segment.h"
#include "upstream/backend_table.h"
#include "upstream/upstream_group.h"

namespace ub {

inline constexpr uint64_t kSecond = 1'000'000'000;
inline constexpr uint64_t kMilli = 1'000'000;

// Backend number `n`: 10.x.y.z:80.
inline BackendSpec MakeSpec(uint32_t n, uint32_t weight = 100, uint32_t max_connections = 0) {
  BackendSpec spec;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(80);
  address.sin_addr.s_addr = htonl(0x0a000000u + n);
  std::memcpy(&spec.address, &address, sizeof(address));
  spec.bytes = sizeof(address);
  spec.text = fmt::format("10.{}.{}.{}:80", n >> 16, (n >> 8) & 255, n & 255);
  spec.weight = weight;
  spec.max_connections = max_connections;
  spec.order = n;
  return spec;
}

inline std::vector<BackendSpec> MakeSpecs(uint32_t count, uint32_t weight = 100) {
  std::vector<BackendSpec> specs;
  for (uint32_t n = 0; n < count; ++n) specs.push_back(MakeSpec(n, weight));
  return specs;
}

// Breakers' moves are logged as warnings; a property test makes thousands.
inline void QuietLog() { SetLogLevel(LogLevel::kOff); }

class Pool {
 public:
  explicit Pool(uint32_t processes = 4, uint32_t backends = 64)
      : shm_(std::move(*ShmSegment::Create({.processes = processes, .backends = backends, .sockets = 1}))),
        table_(shm_) {
    QuietLog();
  }
  Pool(const std::vector<BackendSpec>& specs, const std::string& algorithm, uint32_t workers = 1)
      : Pool(workers + 1, static_cast<uint32_t>(specs.size()) + 8) {
    config.algorithm = algorithm;
    Apply(specs);
    for (uint32_t w = 0; w < workers; ++w) AddWorker();
  }

  void Apply(const std::vector<BackendSpec>& specs) {
    const Status status = table_.Apply(0, specs);
    EXPECT_TRUE(status.ok()) << status.ToString();
    specs_ = specs;
  }
  // As the controller does it: all anew, with another weight or administrative state of one.
  void SetWeight(uint32_t n, uint32_t weight) {
    auto specs = specs_;
    specs[n].weight = weight;
    Apply(specs);
  }
  void SetAdmin(uint32_t n, AdminState admin) {
    auto specs = specs_;
    specs[n].admin = admin;
    Apply(specs);
  }
  UpstreamGroup& AddWorker() {
    const auto id = static_cast<uint32_t>(groups_.size());
    const uint32_t row = shm_.TakeRow(ChildKind::kWorker, id);
    EXPECT_NE(row, kNoRow);
    groups_.push_back(std::make_unique<UpstreamGroup>(shm_, row, 0, id));
    groups_.back()->Configure(config);
    groups_.back()->Refresh();
    return *groups_.back();
  }
  void Reconfigure() {
    for (auto& group : groups_) group->Configure(config);
  }
  void Refresh() {
    for (auto& group : groups_) group->Refresh();
  }

  ShmSegment& shm() { return shm_; }
  BackendTable& table() { return table_; }
  UpstreamGroup& group(size_t w = 0) { return *groups_[w]; }
  BackendSlot& slot(uint32_t n) { return shm_.slot(Find(n)); }
  uint32_t Find(uint32_t n) { return table_.Find(0, MakeSpec(n).text); }
  void SetHealth(uint32_t n, HealthState health) { slot(n).health = static_cast<uint32_t>(health); }

  // A pick that must succeed.
  Lease Take(size_t w = 0, PickRequest request = {.now_ns = kSecond}) {
    Lease lease;
    EXPECT_EQ(group(w).Pick(request, &lease), PickVerdict::kPicked);
    return lease;
  }
  // Picks and reports `count` times; requests by slot.
  std::vector<uint32_t> Spread(uint32_t count, size_t w = 0, uint64_t now_ns = kSecond) {
    std::vector<uint32_t> by_slot(shm_.backends());
    for (uint32_t n = 0; n < count; ++n) {
      const Lease lease = Take(w, {.key = n, .now_ns = now_ns});
      if (!lease.valid()) break;
      ++by_slot[lease.slot];
      group(w).Report(lease, Outcome::kSuccess, 0, now_ns);
    }
    return by_slot;
  }

  Config config;

 private:
  ShmSegment shm_;
  BackendTable table_;
  std::vector<BackendSpec> specs_;
  std::vector<std::unique_ptr<UpstreamGroup>> groups_;
};

}  // namespace ub

#endif  // UB_T_UNIT_UPSTREAM_UPSTREAM_FIXTURE_H_
