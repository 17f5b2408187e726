// Hosts and request targets (RFC 3986 section 3.2, RFC 9110 section 4.2, RFC 9112 section 3.2).
//
// Called by http1_parser.cc for each request. Pure functions over slices; nothing is decoded.
// Worker process.
#ifndef UB_HTTP_AUTHORITY_H_
#define UB_HTTP_AUTHORITY_H_

#include <string_view>

namespace ub {

// uri-host [ ":" port ], the host not empty, no userinfo; hosts are names, IPv4 or bracketed IPv6
// addresses.
bool IsValidAuthority(std::string_view authority);

// An absolute http or https target cut into its parts; `rest` is the path and query and may be
// empty.
struct AbsoluteTarget {
  std::string_view authority;
  std::string_view rest;
  bool https = false;
};

// False where `target` is not of the form "http://authority…" or "https://authority…".
bool SplitAbsoluteTarget(std::string_view target, AbsoluteTarget* parts);

// Do both name the same host and port? Case is ignored and the scheme's own port may be left out.
bool SameAuthority(std::string_view a, std::string_view b, bool https);

}  // namespace ub

#endif  // UB_HTTP_AUTHORITY_H_
