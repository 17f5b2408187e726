#include "core/config_env.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string_view>
#include <unordered_map>

#include "core/config_keys.h"
#include "core/config_text.h"

namespace ub {

EnvironmentMap CaptureEnvironment() {
  EnvironmentMap map;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    map.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return map;
}

ConfigNode EnvironmentNodes(const EnvironmentMap& environment, ConfigProblems* problems,
                            ConfigProblems* warnings) {
  std::unordered_map<std::string, const ConfigKey*> keys;
  for (const ConfigKey& key : ConfigKeys()) keys.emplace(EnvironmentName(key), &key);
  std::vector<std::string_view> names;
  names.reserve(keys.size());
  for (const auto& [name, key] : keys) names.push_back(name);

  ConfigNode root = ConfigNode::Mapping(MakePosition("environment"));
  for (auto it = environment.lower_bound("ULTRA_"); it != environment.end(); ++it) {
    const auto& [name, value] = *it;
    if (!name.starts_with("ULTRA_")) break;
    const SourcePosition position = MakePosition("environment " + Printable(name));
    const auto found = keys.find(name);
    if (found == keys.end()) {
      const std::string_view nearest = NearestWord(name, names);
      if (nearest.empty()) {
        warnings->push_back({position, "no key has this name; it is ignored"});
      } else {
        problems->push_back(
            {position, fmt::format("no key has this name (did you mean {}?)", nearest)});
      }
      continue;
    }
    if (!value.empty()) root.SetPath(found->second->path, ConfigNode::Untyped(value, position));
  }
  return root;
}

}  // namespace ub
