#include "cli/import_refused.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ub {
namespace {

using Places = std::set<std::string>;  // as SourcePosition::ToString writes them

bool AnyAt(const ConfigNode& node, const Places& places) {
  if (node.IsScalar()) return places.contains(node.position.ToString());
  for (const ConfigEntry& entry : node.entries) {
    if (AnyAt(entry.value, places)) return true;
  }
  return std::ranges::any_of(node.items, [&](const ConfigNode& n) { return AnyAt(n, places); });
}

void RemoveEmpty(ConfigNode* node) {
  for (ConfigEntry& entry : node->entries) RemoveEmpty(&entry.value);
  std::erase_if(node->entries, [](const ConfigEntry& entry) {
    return !entry.value.IsScalar() && entry.value.items.empty() && entry.value.entries.empty();
  });
}

// Takes out what came from `places`: values, and the items of lists that hold such a value.
bool RemoveAt(ConfigNode* node, const Places& places) {
  bool removed =
      std::erase_if(node->items, [&](const ConfigNode& item) { return AnyAt(item, places); }) > 0;
  removed |= std::erase_if(node->entries, [&](const ConfigEntry& entry) {
               return entry.value.IsScalar() && AnyAt(entry.value, places);
             }) > 0;
  for (ConfigEntry& entry : node->entries) removed |= RemoveAt(&entry.value, places);
  return removed;
}

// The values of a list or of a section of names that have one place, and what each is called.
struct Candidate {
  const ConfigNode* value;
  std::string_view name;
};

// The one that a problem names; else all of them.
void Choose(const std::vector<Candidate>& there, const std::string& problem,
            std::set<const ConfigNode*>* chosen) {
  const Candidate* named = nullptr;
  for (const Candidate& candidate : there) {
    if (candidate.name.empty() || problem.find(candidate.name) == std::string::npos) continue;
    if (named == nullptr || candidate.name.size() > named->name.size()) named = &candidate;
  }
  for (const Candidate& candidate : there) {
    if (named == nullptr || candidate.value == named->value) chosen->insert(candidate.value);
  }
}

// Of what stands under a key that no section has, what the problems are about.
bool RemoveWithin(ConfigNode* node, const std::vector<const ConfigProblem*>& problems) {
  std::map<std::string, std::vector<Candidate>> by_place;
  for (const ConfigNode& item : node->items) {
    if (item.IsScalar()) by_place[item.position.ToString()].push_back({&item, item.text});
  }
  for (const ConfigEntry& entry : node->entries) {
    if (!entry.value.IsScalar()) continue;
    by_place[entry.value.position.ToString()].push_back({&entry.value, entry.key});
  }
  std::set<const ConfigNode*> chosen;
  Places places;  // of lists of sections: backends
  for (const ConfigProblem* problem : problems) {
    const std::string place = problem->position.ToString();
    places.insert(place);
    if (const auto at = by_place.find(place); at != by_place.end()) {
      Choose(at->second, problem->text, &chosen);
    }
  }
  if (chosen.empty()) return RemoveAt(node, places);
  // The addresses of what stays change while others go: marked before, removed after.
  std::set<size_t> items, entries;
  for (size_t i = 0; i < node->items.size(); ++i) {
    if (chosen.contains(&node->items[i])) items.insert(i);
  }
  for (size_t i = 0; i < node->entries.size(); ++i) {
    if (chosen.contains(&node->entries[i].value)) entries.insert(i);
  }
  size_t at = 0;
  std::erase_if(node->items, [&](const ConfigNode&) { return items.contains(at++); });
  at = 0;
  std::erase_if(node->entries, [&](const ConfigEntry&) { return entries.contains(at++); });
  return true;
}

void RemoveKey(ConfigNode* root, const std::string& key) {
  const size_t dot = key.rfind('.');
  if (dot == std::string::npos) return root->Remove(key);
  auto* section = const_cast<ConfigNode*>(root->FindPath(std::string_view(key).substr(0, dot)));
  section->Remove(std::string_view(key).substr(dot + 1));
}

}  // namespace

bool RemoveRefused(ConfigNode* root, const ConfigProblems& problems) {
  std::map<std::string, std::vector<const ConfigProblem*>> by_key;
  for (const ConfigProblem& problem : problems) {
    by_key[problem.text.substr(0, problem.text.find(':'))].push_back(&problem);
  }
  bool removed = false;
  Places elsewhere;
  for (const auto& [key, about] : by_key) {
    Places places;
    for (const ConfigProblem* problem : about) places.insert(problem->position.ToString());
    auto* node = const_cast<ConfigNode*>(root->FindPath(key));
    bool found = false;
    if (node != nullptr && node->IsScalar()) {
      found = AnyAt(*node, places);
      if (found) RemoveKey(root, key);
    } else if (node != nullptr) {
      found = RemoveWithin(node, about);
    }
    removed |= found;
    if (!found) elsewhere.merge(places);
  }
  removed |= RemoveAt(root, elsewhere);
  RemoveEmpty(root);
  return removed;
}

}  // namespace ub
