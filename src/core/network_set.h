// A set of networks ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"), asked whether it holds an address: who is trusted to
// name the real client, whom a rate limit spares.
//
// Built from checked configuration in whatever process needs it; constant afterwards. A look-up costs one binary
// search for each prefix length that occurs in the set; an empty set costs nothing.
#ifndef UB_CORE_NETWORK_SET_H_
#define UB_CORE_NETWORK_SET_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ub {

class NetworkSet {
 public:
  NetworkSet() = default;
  // Texts that IsNetwork (core/config_text.h) accepts; others are left out, the binder has refused them.
  explicit NetworkSet(const std::vector<std::string>& networks);

  // `address`: 4 or 16 bytes in network order, or empty for the peer of a unix socket ("unix:" in the list).
  // IPv4 networks hold IPv4 addresses only, and IPv6 networks IPv6 ones.
  bool Contains(std::string_view address) const;
  bool empty() const { return groups_.empty() && !unix_; }

 private:
  using Bits = unsigned __int128;  // the address in host order, IPv4 in the upper 32 bits

  // The networks of one family and prefix length.
  struct Group {
    bool ipv6;
    uint32_t prefix;
    std::vector<Bits> networks;  // sorted
  };
  static Bits Load(std::string_view address);
  static Bits Mask(Bits bits, uint32_t prefix);
  void Add(std::string_view text);

  std::vector<Group> groups_;
  bool unix_ = false;
};

}  // namespace ub

#endif  // UB_CORE_NETWORK_SET_H_
