// The numbers of nginx's and HAProxy's configurations. Used by the importers alone.
#ifndef UB_CLI_IMPORT_UNITS_H_
#define UB_CLI_IMPORT_UNITS_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace ub {

// "10s", "500ms", "1h 30m", "1h30m", "30" (seconds): nginx's. In milliseconds.
std::optional<uint64_t> NginxTimeMs(std::string_view text);
// "10s", "500ms", "500us" (rounded up), "1d", "30" (milliseconds): HAProxy's. In milliseconds.
std::optional<uint64_t> HaproxyTimeMs(std::string_view text);
// "8k", "1m", "1g", "4096", in either case: both know powers of 1024 only.
std::optional<uint64_t> ImportSize(std::string_view text);

}  // namespace ub

#endif  // UB_CLI_IMPORT_UNITS_H_
