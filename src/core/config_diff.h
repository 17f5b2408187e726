// What a reload changes, in one short line, and what of it has to wait for a restart. Used by the
// master at reload and by the checking commands.
#ifndef UB_CORE_CONFIG_DIFF_H_
#define UB_CORE_CONFIG_DIFF_H_

#include <string>
#include <vector>

#include "core/config.h"

namespace ub {

struct ConfigDiff {
  // "backends: +10.0.0.5:8080 -10.0.0.3:8080; algorithm: round-robin → power-of-two". Empty:
  // nothing changes.
  std::string text;
  std::vector<std::string> restart_keys;  // changed, but in force only after a restart
};

ConfigDiff DiffConfig(const Config& before, const Config& after);

}  // namespace ub

#endif  // UB_CORE_CONFIG_DIFF_H_
