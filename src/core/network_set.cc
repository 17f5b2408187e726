#include "core/network_set.h"

#include <arpa/inet.h>

#include <algorithm>

#include "core/config_text.h"

namespace ub {

NetworkSet::NetworkSet(const std::vector<std::string>& networks) {
  for (const std::string& network : networks) Add(network);
  for (Group& group : groups_) std::ranges::sort(group.networks);
}

NetworkSet::Bits NetworkSet::Load(std::string_view address) {
  Bits bits = 0;
  for (const char c : address) bits = bits << 8 | static_cast<unsigned char>(c);
  return bits << (128 - 8 * address.size());
}

NetworkSet::Bits NetworkSet::Mask(Bits bits, uint32_t prefix) {
  return prefix == 0 ? 0 : bits & (~Bits{0} << (128 - prefix));
}

void NetworkSet::Add(std::string_view text) {
  if (text == "unix:") unix_ = true;
  if (text == "unix:" || !IsNetwork(text)) return;
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  char bytes[16];
  const bool ipv6 = address.find(':') != std::string::npos;
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) return;
  const uint32_t whole = ipv6 ? 128 : 32;
  const auto prefix =
      slash == std::string_view::npos
          ? whole
          : static_cast<uint32_t>(ParseUnsigned(text.substr(slash + 1)).value_or(whole));
  auto group = std::ranges::find_if(
      groups_, [&](const Group& each) { return each.ipv6 == ipv6 && each.prefix == prefix; });
  if (group == groups_.end()) group = groups_.insert(groups_.end(), {ipv6, prefix, {}});
  group->networks.push_back(Mask(Load({bytes, ipv6 ? size_t{16} : size_t{4}}), prefix));
}

bool NetworkSet::Contains(std::string_view address) const {
  if (address.empty()) return unix_;
  const bool ipv6 = address.size() == 16;
  const Bits bits = Load(address);
  return std::ranges::any_of(groups_, [&](const Group& group) {
    return group.ipv6 == ipv6 &&
           std::ranges::binary_search(group.networks, Mask(bits, group.prefix));
  });
}

}  // namespace ub
