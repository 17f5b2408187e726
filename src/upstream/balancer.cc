#include "upstream/balancer.h"

#include "upstream/balance_fastest_response.h"
#include "upstream/balance_ip_hash.h"
#include "upstream/balance_least_connections.h"
#include "upstream/balance_power_of_two.h"
#include "upstream/balance_random.h"
#include "upstream/balance_round_robin.h"
#include "upstream/balance_weighted.h"

namespace ub {

namespace {

template <class Policy>
std::unique_ptr<Balancer> Make(std::span<const ViewEntry> entries, uint64_t phase) {
  return std::make_unique<Policy>(entries, phase);
}

constexpr BalancerRow kBalancers[] = {
    {"round-robin", Make<BalanceRoundRobin>, "each backend in turn, smoothly by weight"},
    {"least-connections", Make<BalanceLeastConnections>,
     "the backend with the fewest requests in flight over all workers, by weight"},
    {"ip-hash", Make<BalanceIpHash>, "consistent hashing of hash_key, with bounded load", /*uses_key=*/true},
    {"random", Make<BalanceRandom>, "a random backend by weight"},
    {"weighted", Make<BalanceWeighted>, "in turn by weight, from one schedule per worker"},
    {"power-of-two", Make<BalancePowerOfTwo>, "the less loaded of two random backends"},
    {"fastest-response", Make<BalanceFastestResponse>,
     "the faster of two random backends, by peak-sensitive response time and requests in flight",
     /*uses_key=*/false, /*uses_latency=*/true},
};

}  // namespace

std::span<const BalancerRow> Balancers() { return kBalancers; }

const BalancerRow* FindBalancer(std::string_view name) {
  for (const BalancerRow& row : kBalancers) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace ub
