#include "http/config_json.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "core/config_keys.h"
#include "core/config_text.h"

namespace ub {
namespace {

Json BackendsJson(const Config& config) {
  Json list = Json::array();
  for (const BackendConfig& backend : config.backends) {
    list.push_back({{"address", backend.AddressText()},
                    {"weight", backend.weight},
                    {"max_connections", backend.max_connections},
                    {"backup", backend.backup},
                    {"protocol", backend.protocol()},
                    {"name", backend.name}});
  }
  return list;
}

Json ValueJson(const KeyValue& value) {
  switch (value.shape) {
    case KeyValue::Shape::kPlain:
      if (const auto number = ParseUnsigned(value.text)) return *number;
      if (value.text == "true" || value.text == "false") return value.text == "true";
      return value.text;
    case KeyValue::Shape::kText:
      return value.text;
    case KeyValue::Shape::kList:
      return value.items;
    case KeyValue::Shape::kMap: {
      Json map = Json::object();
      for (const auto& [name, text] : value.entries) map[name] = text;
      return map;
    }
    case KeyValue::Shape::kHidden:
      return value.ToString();
  }
  return nullptr;
}

std::string Text(const Json& value) {
  if (value.is_string()) return value.get<std::string>().empty() ? "none" : value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "+b -a" for lists of texts; backends go by their addresses.
std::string DiffLists(const Json& before, const Json& after) {
  const auto keyed = [](const Json& list) {
    std::map<std::string, std::string> out;
    for (const Json& item : list) {
      out[item.is_object() ? item.value("address", Text(item)) : Text(item)] = Text(item);
    }
    return out;
  };
  const auto old_items = keyed(before), new_items = keyed(after);
  std::string text;
  const auto put = [&text](std::string_view sign, std::string_view what) {
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", sign, what);
  };
  for (const auto& [key, item] : new_items) {
    const auto old = old_items.find(key);
    if (old == old_items.end()) put("+", key);
    if (old != old_items.end() && old->second != item) put("~", key);
  }
  for (const auto& [key, item] : old_items) {
    if (!new_items.contains(key)) put("-", key);
  }
  return text.empty() ? "another order" : text;
}

void Diff(const std::string& path, const Json& before, const Json& after, std::vector<std::string>* out) {
  if (before == after) return;
  if (before.is_object() && after.is_object()) {
    const auto below = [&](const std::string& key) {
      return path.empty() ? key : fmt::format("{}.{}", path, key);
    };
    for (const auto& [key, value] : after.items()) {
      const auto old = before.find(key);
      Diff(below(key), old == before.end() ? Json(nullptr) : *old, value, out);
    }
    for (const auto& [key, value] : before.items()) {
      if (!after.contains(key)) Diff(below(key), value, nullptr, out);
    }
    return;
  }
  if (before.is_array() && after.is_array()) {
    out->push_back(fmt::format("{}: {}", path, DiffLists(before, after)));
    return;
  }
  out->push_back(fmt::format("{}: {} → {}", path, Text(before), Text(after)));
}

}  // namespace

Json ConfigJson(const Config& config) {
  Json out = Json::object();
  for (const ConfigKey& key : ConfigKeys()) {
    // What the two short listen keys say is in `listen`.
    if (key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort) continue;
    Json* at = &out;
    const std::vector<std::string_view> parts = SplitTrimmed(key.path, '.');
    for (const std::string_view part : parts) at = &(*at)[std::string(part)];
    *at = key.type == KeyType::kBackendList ? BackendsJson(config) : ValueJson(GetKeyValue(key, config));
  }
  return out;
}

std::vector<std::string> DiffConfigJson(const Json& before, const Json& after) {
  std::vector<std::string> lines;
  Diff("", before, after, &lines);
  return lines;
}

}  // namespace ub
