#include "core/config_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/config_keys.h"

namespace ub {
namespace {

// "+b -a": what came to and what left a list, and no more than a line takes.
std::string DiffLists(const std::vector<std::string>& before,
                      const std::vector<std::string>& after) {
  constexpr size_t kMaxShown = 10;
  const std::set<std::string> old_items(before.begin(), before.end()),
      new_items(after.begin(), after.end());
  std::vector<std::string> changes;
  for (const std::string& item : after) {
    if (!old_items.contains(item)) changes.push_back("+" + item);
  }
  for (const std::string& item : before) {
    if (!new_items.contains(item)) changes.push_back("-" + item);
  }
  if (changes.empty()) return "another order";
  const size_t more = changes.size() > kMaxShown ? changes.size() - kMaxShown : 0;
  changes.resize(changes.size() - more);
  std::string text = fmt::format("{}", fmt::join(changes, " "));
  if (more > 0) text += fmt::format(" and {} more", more);
  return text;
}

// A backend that stays but changed is shown once, with what it is now.
std::string DiffBackends(const Config& before, const Config& after) {
  std::vector<std::string> old_items, new_items;
  std::vector<std::string> changed;
  for (const BackendConfig& backend : before.backends) old_items.push_back(backend.AddressText());
  const std::set<std::string> old_set(old_items.begin(), old_items.end());
  std::map<std::string, const BackendConfig*> old_by_address;
  for (const BackendConfig& backend : before.backends)
    old_by_address.emplace(backend.AddressText(), &backend);
  for (const BackendConfig& backend : after.backends) {
    const std::string address = backend.AddressText();
    new_items.push_back(address);
    const auto it = old_by_address.find(address);
    if (it == old_by_address.end() || *it->second == backend) continue;
    const BackendConfig& old = *it->second;
    std::string what;
    if (old.weight != backend.weight)
      what += fmt::format(" weight {} → {}", old.weight, backend.weight);
    if (old.max_connections != backend.max_connections) {
      what += fmt::format(" max_connections {} → {}", old.max_connections, backend.max_connections);
    }
    if (old.backup != backend.backup)
      what += backend.backup ? " now a backup" : " no longer a backup";
    if (old.h2 != backend.h2)
      what += fmt::format(" protocol {} → {}", old.protocol(), backend.protocol());
    if (old.name != backend.name) what += fmt::format(" name {}", backend.name);
    changed.push_back(address + what);
  }
  const bool same_set = old_set == std::set<std::string>(new_items.begin(), new_items.end());
  std::string text = same_set && !changed.empty() ? "" : DiffLists(old_items, new_items);
  for (size_t i = 0; i < changed.size() && i < 10; ++i)
    text += (text.empty() ? "" : ", ") + changed[i];
  if (changed.size() > 10) text += fmt::format(" and {} more", changed.size() - 10);
  return text;
}

std::string Shown(const KeyValue& value) {
  const std::string text = value.ToString();
  return text.empty() ? "none" : text;
}

}  // namespace

ConfigDiff DiffConfig(const Config& before, const Config& after) {
  ConfigDiff diff;
  for (const ConfigKey& key : ConfigKeys()) {
    // What the two short listen keys say is in `listen`.
    if (key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort) continue;
    const KeyValue old_value = GetKeyValue(key, before), new_value = GetKeyValue(key, after);
    std::string text;
    if (old_value == new_value) {
      if (key.type != KeyType::kCertificateList || before.tls.certificates == after.tls.certificates) continue;
      text = "renewed";  // other content in the same files
    }
    if (!text.empty()) {
    } else if (key.type == KeyType::kBackendList) {
      text = DiffBackends(before, after);
    } else if (key.type == KeyType::kSecret) {
      text = "changed";
    } else if (old_value.shape == KeyValue::Shape::kList &&
               new_value.shape == KeyValue::Shape::kList) {
      text = DiffLists(old_value.items, new_value.items);
    } else {
      text = fmt::format("{} → {}", Shown(old_value), Shown(new_value));
    }
    if (!diff.text.empty()) diff.text += "; ";
    diff.text += fmt::format("{}: {}", key.path, text);
    if (!key.reloadable) diff.restart_keys.emplace_back(key.path);
  }
  return diff;
}

}  // namespace ub
