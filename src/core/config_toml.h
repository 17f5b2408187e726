// TOML text into ConfigNodes, over toml++. The only file that knows toml++.
//
// Called by config_load in the master and by the checking commands. Dates and times are refused: no
// key takes one.
#ifndef UB_CORE_CONFIG_TOML_H_
#define UB_CORE_CONFIG_TOML_H_

#include <string>
#include <string_view>

#include "core/config_node.h"

namespace ub {

// Reads `text`; `name` is what errors call it. Problems are appended; toml++ stops at the first
// fault.
ConfigNode ParseToml(std::string_view text, const std::string& name, ConfigProblems* problems);

// The library's version, for `info`.
std::string TomlLibraryVersion();

}  // namespace ub

#endif  // UB_CORE_CONFIG_TOML_H_
