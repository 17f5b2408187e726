#include "core/config_merge.h"

#include <utility>

namespace ub {
namespace {

void MergeMapping(ConfigNode* base, ConfigNode over) {
  for (ConfigEntry& entry : over.entries) {
    ConfigNode* below = base->Find(entry.key);
    if (below != nullptr && below->IsMapping() && entry.value.IsMapping()) {
      MergeMapping(below, std::move(entry.value));
    } else if (below != nullptr && below->IsMapping() && entry.value.IsNull()) {
      continue;  // an empty section sets nothing
    } else if (below != nullptr) {
      *below = std::move(entry.value);
    } else {
      base->entries.push_back(std::move(entry));
    }
  }
}

}  // namespace

void MergeConfig(ConfigNode* base, ConfigNode over) {
  if (over.Find("listen") != nullptr) {
    base->Remove("listen_address");
    base->Remove("listen_port");
  } else if (over.Find("listen_address") != nullptr || over.Find("listen_port") != nullptr) {
    base->Remove("listen");
  }
  MergeMapping(base, std::move(over));
}

}  // namespace ub
