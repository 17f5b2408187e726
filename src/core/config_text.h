// Reading the small texts that configuration values are made of: numbers, sizes, durations,
// addresses, networks; and finding the word that a misspelt one was meant to be. Pure functions,
// used at start and reload, and by the admin API.
#ifndef UB_CORE_CONFIG_TEXT_H_
#define UB_CORE_CONFIG_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace ub {

// Without white space of any kind at either end. (http/char_class.h has one that knows blanks and tabs only: two functions,
// two names.)
std::string_view TrimSpaces(std::string_view text);
// Parts between `separator`s, trimmed; an empty text has none.
std::vector<std::string_view> SplitTrimmed(std::string_view text, char separator);
std::string ToLowerAscii(std::string_view text);
// Control characters as \xNN, cut after `max` bytes: for quoting what a person wrote in a message.
std::string Printable(std::string_view text, size_t max = 60);
// Where `text` ceases to be UTF-8 (RFC 3629: no longer form than needed, no surrogates); npos: it
// is UTF-8 to its end.
size_t FindInvalidUtf8(std::string_view text);

// Decimal digits only, no sign. nullopt: not a number, or above 2^64-1.
std::optional<uint64_t> ParseUnsigned(std::string_view text);
// "-12": digits behind a minus sign.
bool IsNegativeNumber(std::string_view text);
// "true yes on" / "false no off", in any case.
std::optional<bool> ParseBool(std::string_view text);
// "32k", "8m", "1g", "100", also with a trailing b ("32kb"); powers of 1024.
std::optional<uint64_t> ParseSize(std::string_view text);
// "200ms", "5s", "1m", "1h", or a bare number of `bare_unit_ms` milliseconds each. In milliseconds.
std::optional<uint64_t> ParseDurationMs(std::string_view text, uint64_t bare_unit_ms);

bool IsIpv4(std::string_view text);
bool IsIpv6(std::string_view text);  // without brackets
inline bool IsIpAddress(std::string_view text) { return IsIpv4(text) || IsIpv6(text); }
// The shortest spelling of an IP address: "0:0::1" → "::1". The text itself where it is none.
std::string CanonicalIp(std::string_view text);
bool IsLoopback(std::string_view ip);
// What can be a DNS name (or a name of /etc/hosts): letters, digits, '-', '_' and dots.
bool IsHostName(std::string_view text);
// "10.0.0.0/8", "::1", "fe80::/10"; "unix:" stands for the peers of unix sockets.
bool IsNetwork(std::string_view text);

// "10.0.0.1:80", "[::1]:80", "app:80", "unix:/path"; with `allow_weight` also a last ":WEIGHT".
struct Endpoint {
  std::string host;  // IP addresses are canonical and without brackets; the path where is_unix
  uint16_t port = 0;
  bool is_unix = false;
  std::optional<uint32_t> weight;
};
// The detail of an error reads on from the text: "\"a\" has no port (HOST:PORT)".
Result<Endpoint> ParseEndpoint(std::string_view text, bool allow_weight);
// "unix:" paths: absolute, and short enough for a socket address. Empty: fine; else what is wrong.
std::string CheckUnixPath(std::string_view path);

// The candidate that `word` is nearest to, where it is near enough to be meant; else empty.
std::string_view NearestWord(std::string_view word,
                             const std::vector<std::string_view>& candidates);

}  // namespace ub

#endif  // UB_CORE_CONFIG_TEXT_H_
