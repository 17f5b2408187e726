// The one table that describes every configuration key: what the binder checks, `example`, `info`,
// `-T`, the environment's names, the manual's list and the completions are all made from it, so
// they cannot disagree.
//
// Read-only data; used in the master and the checking commands, never while serving.
#ifndef UB_CORE_CONFIG_KEYS_H_
#define UB_CORE_CONFIG_KEYS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/config.h"

namespace ub {

enum class KeyType : uint8_t {
  kBool,
  kInt,       // or `auto`, where auto_value is set
  kSize,      // bytes; takes k, m, g
  kDuration,  // in `unit` (ms or s); takes ms, s, m, h
  kEnum,      // one of `choices`
  kString,
  kPath,        // absolute, or one of `choices`
  kSecret,      // text, file:/path or env:NAME; never printed
  kHashKey,     // client_ip | header:NAME | cookie:NAME | uri
  kEnumList,    // any of `choices`
  kCidrList,    // addresses and networks
  kStatusList,  // 200, 300-399
  kHeaderMap,   // names and values
  kListenList,
  kListenAddress,  // with kListenPort, the short way to one `listen`
  kListenPort,
  kAdminAddress,  // an IP address, or unix:/path
  kBackendList,
  kCertificateList,  // mappings (certificate, key), or "CERTIFICATE KEY"
  kWordList,         // any of `choices`, in an order that counts
};

using StatusRanges = std::vector<std::pair<uint16_t, uint16_t>>;

// The field of Config that a key sets. monostate: a key that the binder folds into another's field.
using FieldRef =
    std::variant<std::monostate, bool*, uint16_t*, uint32_t*, uint64_t*, std::string*,
                 std::vector<std::string>*, std::map<std::string, std::string>*, StatusRanges*,
                 LogLevel*, RetryConfig*, std::vector<BackendConfig>*, std::vector<ListenConfig>*,
                 std::vector<CertificateConfig>*>;

struct ConfigKey {
  std::string_view path;  // "health_check.interval_ms"
  KeyType type;
  FieldRef (*field)(Config&);
  uint64_t min = 0, max = 0;      // kInt, kSize, kDuration
  std::string_view choices = {};  // "a|b|c" of kEnum, kEnumList; special words of kPath
  std::string_view meaning = {};  // one line
  std::optional<uint32_t> auto_value = std::nullopt;  // what `auto` stands for
  std::string_view unit = {};                         // "ms", "s", "bytes", "%"
  bool reloadable = true;                             // false: a change waits for a restart
  bool active = true;                                 // false: `example` shows it commented out
};

// In the order in which `example` shows them: top level first, then section by section.
std::span<const ConfigKey> ConfigKeys();
const ConfigKey* FindConfigKey(std::string_view path);
// True for "health_check", "health_check.circuit_breaker", …: a path that has keys below it.
bool IsConfigSection(std::string_view path);
// The names that may stand directly in `section` ("" is the top level): keys and subsections.
std::vector<std::string_view> ConfigChildren(std::string_view section);

// "ULTRA_HEALTH_CHECK_INTERVAL_MS".
std::string EnvironmentName(const ConfigKey& key);
std::vector<std::string_view> Choices(const ConfigKey& key);
// What a value may be, for people: "whole number, 1 to 65535", "duration", "round-robin |
// least-connections | …".
std::string DescribeType(const ConfigKey& key);

// The keys of one entry of `backends`.
struct BackendKey {
  std::string_view name;
  std::string_view type;
  std::string_view meaning;
};
std::span<const BackendKey> BackendKeys();

// A key's value in `config`, ready for a printer. The folded keys (listen_address, listen_port) and
// backends come out as the text forms that they are written in.
struct KeyValue {
  enum class Shape : uint8_t { kPlain, kText, kList, kMap, kHidden };
  Shape shape = Shape::kPlain;     // kPlain: a number, boolean or word that needs no quotes
  std::string text;                // kPlain, kText
  std::vector<std::string> items;  // kList
  std::vector<std::pair<std::string, std::string>> entries;  // kMap
  bool operator==(const KeyValue&) const = default;
  // On one line: "8080", "a, b", "X: y"; kHidden gives "(hidden)".
  std::string ToString() const;
};
// For kSecret the value is kHidden where one is set, and its text is a hash that serves to compare.
KeyValue GetKeyValue(const ConfigKey& key, const Config& config);
KeyValue DefaultKeyValue(const ConfigKey& key);
// Gives `to` the value that the key has in `from`.
void CopyKeyValue(const ConfigKey& key, const Config& from, Config* to);

// 32768 → "32k".
std::string FormatSize(uint64_t bytes);

}  // namespace ub

#endif  // UB_CORE_CONFIG_KEYS_H_
