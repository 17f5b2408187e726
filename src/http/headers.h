// Header fields as slices of the bytes that they arrived in, with the names that the proxy acts on
// recognised once.
//
// A HeaderList points into somebody's buffer: it is valid until that buffer is reused, that is
// within the callback that parsed it. Reused between requests, so that in steady state it allocates
// nothing. Worker process.
#ifndef UB_HTTP_HEADERS_H_
#define UB_HTTP_HEADERS_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace ub {

// Names that some part of the proxy acts on; every other name is kOther.
enum class HeaderId : uint8_t {
  kOther,
  kAccept,
  kConnection,
  kContentLength,
  kContentType,
  kCookie,
  kDate,
  kExpect,
  kForwarded,
  kHost,
  kHttp2Settings,
  kKeepAlive,
  kProxyConnection,
  kTe,
  kTransferEncoding,
  kUpgrade,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXRealIp,
  kXRequestId,
};

struct HeaderField {
  std::string_view name;   // as sent
  std::string_view value;  // without surrounding blanks
  HeaderId id = HeaderId::kOther;
  // Its line in the bytes that it was cut from is "name: value\r\n" to the letter, and may be passed on as it is.
  bool verbatim = false;
};

using HeaderList = std::vector<HeaderField>;

// The id of a field name, in any case. A few instructions.
HeaderId HeaderIdOf(std::string_view name);

// ASCII case-insensitive comparison (RFC 9110 section 5.1).
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// The same as well where `name` has "_" for "-", in any case: CGI and its successors make one variable of both (RFC 3875
// section 4.1.18). `known` is lower case.
bool SameVariable(std::string_view name, std::string_view known);

// True where the comma-separated `list` holds `token`, in any case.
bool ListHasToken(std::string_view list, std::string_view token);

// First field of that id or name; nullptr if there is none.
const HeaderField* FindHeader(const HeaderList& headers, HeaderId id);
const HeaderField* FindHeader(const HeaderList& headers, std::string_view name);

// Whether it is a token (RFC 9110 section 5.6.2), such as a method or a field name; nothing is none.
bool IsToken(std::string_view text);

}  // namespace ub

#endif  // UB_HTTP_HEADERS_H_
