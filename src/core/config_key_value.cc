// What is computed from the key table: look-ups, names, and a key's value in a Config as text.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "core/config_keys.h"

namespace ub {
namespace {

using Shape = KeyValue::Shape;

KeyValue Plain(std::string text) { return KeyValue{Shape::kPlain, std::move(text), {}, {}}; }
KeyValue Text(std::string text) { return KeyValue{Shape::kText, std::move(text), {}, {}}; }
KeyValue List(std::vector<std::string> items) {
  return KeyValue{Shape::kList, {}, std::move(items), {}};
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

KeyValue Number(const ConfigKey& key, uint64_t value) {
  if (key.auto_value && value == *key.auto_value) return Plain("auto");
  if (key.type == KeyType::kSize) return Plain(FormatSize(value));
  return Plain(std::to_string(value));
}

KeyValue RetryOn(const RetryConfig& retry) {
  KeyValue value = List({});
  if (retry.on_connect) value.items.push_back("connect");
  if (retry.on_reset) value.items.push_back("reset");
  if (retry.on_timeout) value.items.push_back("timeout");
  if (retry.on_502) value.items.push_back("502");
  if (retry.on_503) value.items.push_back("503");
  if (retry.on_504) value.items.push_back("504");
  return value;
}

KeyValue Statuses(const StatusRanges& ranges) {
  KeyValue value = List({});
  for (const auto& [low, high] : ranges) {
    value.items.push_back(low == high ? std::to_string(low) : fmt::format("{}-{}", low, high));
  }
  return value.items.size() == 1 ? Plain(value.items[0]) : value;
}

std::string BackendText(const BackendConfig& backend) {
  std::string text = fmt::format("{} weight {}", backend.AddressText(), backend.weight);
  if (backend.max_connections != 0)
    text += fmt::format(" max_connections {}", backend.max_connections);
  if (backend.backup) text += " backup";
  if (backend.h2) text += " protocol h2";
  if (backend.name != backend.AddressText()) text += fmt::format(" name {}", backend.name);
  return text;
}

// One case a field type; `key` decides where a type has two readings.
struct ValueOf {
  const ConfigKey& key;
  const Config& config;

  KeyValue operator()(std::monostate) const {
    const bool single = config.listen.size() == 1 && !config.listen[0].is_unix && *config.listen[0].option() == '\0';
    if (config.listen.empty()) return Text("");
    if (key.type == KeyType::kListenPort)
      return single ? Plain(std::to_string(config.listen[0].port)) : Text("");
    return single ? Text(config.listen[0].address) : Text("");
  }
  KeyValue operator()(const bool* field) const {
    if (key.type == KeyType::kEnum) return Plain(std::string(Choices(key)[*field ? 1 : 0]));
    return Plain(*field ? "true" : "false");
  }
  KeyValue operator()(const uint16_t* field) const { return Number(key, *field); }
  KeyValue operator()(const uint32_t* field) const { return Number(key, *field); }
  KeyValue operator()(const uint64_t* field) const { return Number(key, *field); }
  KeyValue operator()(const LogLevel* field) const {
    return Plain(std::string(Choices(key)[static_cast<size_t>(*field)]));
  }
  KeyValue operator()(const std::string* field) const {
    if (key.type == KeyType::kEnum) return Plain(*field);
    if (key.type == KeyType::kSecret && !field->empty()) {
      return KeyValue{Shape::kHidden, std::to_string(std::hash<std::string>()(*field)), {}, {}};
    }
    return Text(*field);
  }
  KeyValue operator()(const std::vector<std::string>* field) const { return List(*field); }
  KeyValue operator()(const std::map<std::string, std::string>* field) const {
    return KeyValue{Shape::kMap, {}, {}, {field->begin(), field->end()}};
  }
  KeyValue operator()(const StatusRanges* field) const { return Statuses(*field); }
  KeyValue operator()(const RetryConfig* field) const { return RetryOn(*field); }
  KeyValue operator()(const std::vector<BackendConfig>* field) const {
    KeyValue value = List({});
    for (const BackendConfig& backend : *field) value.items.push_back(BackendText(backend));
    return value;
  }
  KeyValue operator()(const std::vector<ListenConfig>* field) const {
    KeyValue value = List({});
    for (const ListenConfig& listen : *field) value.items.push_back(listen.text + listen.option());
    return value;
  }
  KeyValue operator()(const std::vector<CertificateConfig>* field) const {
    KeyValue value = List({});
    for (const CertificateConfig& each : *field) {
      const bool one_file = each.key == each.certificate && each.ocsp_staple_file.empty();
      value.items.push_back(one_file ? each.certificate : each.certificate + " " + each.key);
      if (!each.ocsp_staple_file.empty()) value.items.back() += " " + each.ocsp_staple_file;
    }
    return value;
  }
};

}  // namespace

const ConfigKey* FindConfigKey(std::string_view path) {
  static const auto* index = [] {
    auto* map = new std::unordered_map<std::string_view, const ConfigKey*>();
    for (const ConfigKey& key : ConfigKeys()) map->emplace(key.path, &key);
    return map;
  }();
  const auto it = index->find(path);
  return it == index->end() ? nullptr : it->second;
}

bool IsConfigSection(std::string_view path) {
  return std::ranges::any_of(ConfigKeys(), [path](const ConfigKey& key) {
    return key.path.size() > path.size() && key.path.starts_with(path) &&
           key.path[path.size()] == '.';
  });
}

std::vector<std::string_view> ConfigChildren(std::string_view section) {
  std::vector<std::string_view> children;
  for (const ConfigKey& key : ConfigKeys()) {
    std::string_view rest = key.path;
    if (!section.empty()) {
      if (!rest.starts_with(section) || rest.size() <= section.size() ||
          rest[section.size()] != '.')
        continue;
      rest.remove_prefix(section.size() + 1);
    }
    const std::string_view child = rest.substr(0, rest.find('.'));
    if (std::ranges::find(children, child) == children.end()) children.push_back(child);
  }
  return children;
}

std::string EnvironmentName(const ConfigKey& key) {
  std::string name = "ULTRA_";
  for (const char c : key.path) {
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

std::vector<std::string_view> Choices(const ConfigKey& key) { return Split(key.choices, '|'); }

std::string DescribeType(const ConfigKey& key) {
  const std::string choices = fmt::format("{}", fmt::join(Choices(key), " | "));
  switch (key.type) {
    case KeyType::kBool:
      return "true or false";
    case KeyType::kInt:
      return fmt::format("{}whole number, {} to {}{}", key.auto_value ? "auto, or a " : "", key.min,
                         key.max, key.unit == "%" ? " (percent)" : "");
    case KeyType::kListenPort:
      return fmt::format("whole number, {} to {}", key.min, key.max);
    case KeyType::kSize:
      return fmt::format("size, {} to {}", FormatSize(key.min), FormatSize(key.max));
    case KeyType::kDuration:
      return fmt::format("duration, {} to {} {}", key.min, key.max, key.unit);
    case KeyType::kEnum:
      return choices;
    case KeyType::kString:
      return "text";
    case KeyType::kPath:
      return choices.empty() ? "path" : choices + " | path";
    case KeyType::kSecret:
      return "text, file:/path or env:NAME";
    case KeyType::kHashKey:
      return fmt::format("client_ip | header:NAME | cookie:NAME{}",
                         key.path == "hash_key" ? " | uri" : "");
    case KeyType::kEnumList:
      return "list of " + choices;
    case KeyType::kCidrList:
      return "list of addresses and networks";
    case KeyType::kStatusList:
      return "status, range or list of them";
    case KeyType::kHeaderMap:
      return "names and values";
    case KeyType::kListenList:
      return "list of HOST:PORT, [::1]:PORT or unix:/path, each with \"tls\" behind it for TLS, \"h2c\" for HTTP/2 without";
    case KeyType::kListenAddress:
      return "IP address";
    case KeyType::kAdminAddress:
      return "IP address or unix:/path";
    case KeyType::kBackendList:
      return "list of backends";
    case KeyType::kCertificateList:
      return "list of { certificate, key, ocsp_staple_file }, or of \"CERTIFICATE KEY\": PEM files, the key also env:NAME";
    case KeyType::kWordList:
      return "list of " + choices;
  }
  return "";
}

KeyValue GetKeyValue(const ConfigKey& key, const Config& config) {
  // The accessor hands out a pointer to write through; nothing is written here.
  return std::visit(ValueOf{key, config}, key.field(const_cast<Config&>(config)));
}

KeyValue DefaultKeyValue(const ConfigKey& key) {
  if (key.type == KeyType::kListenAddress) return Text("0.0.0.0");
  if (key.type == KeyType::kListenPort) return Plain("8080");
  static const auto* defaults = new Config();
  return GetKeyValue(key, *defaults);
}

void CopyKeyValue(const ConfigKey& key, const Config& from, Config* to) {
  const FieldRef target = key.field(*to);
  std::visit(
      [&target](auto source) {
        if constexpr (!std::is_same_v<decltype(source), std::monostate>) {
          *std::get<decltype(source)>(target) = *source;
        }
      },
      key.field(const_cast<Config&>(from)));
}

std::string KeyValue::ToString() const {
  switch (shape) {
    case Shape::kPlain:
    case Shape::kText:
      return text;
    case Shape::kHidden:
      return "(hidden)";
    case Shape::kList:
      return fmt::format("{}", fmt::join(items, ", "));
    case Shape::kMap:
      break;
  }
  std::string out;
  for (const auto& [name, value] : entries) {
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", name, value);
  }
  return out;
}

std::string FormatSize(uint64_t bytes) {
  if (bytes != 0 && bytes % (1ull << 30) == 0) return fmt::format("{}g", bytes >> 30);
  if (bytes != 0 && bytes % (1ull << 20) == 0) return fmt::format("{}m", bytes >> 20);
  if (bytes != 0 && bytes % 1024 == 0) return fmt::format("{}k", bytes >> 10);
  return std::to_string(bytes);
}

}  // namespace ub
