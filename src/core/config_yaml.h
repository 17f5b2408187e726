// YAML text into ConfigNodes, over libyaml. The only file that knows libyaml.
//
// Called by config_load in the master and by the checking commands. Takes the plain part of YAML:
// one document of mappings, lists and scalars. Anchors, aliases, tags, merge keys and complex keys
// are refused, so no small file can grow large; nesting is bounded.
#ifndef UB_CORE_CONFIG_YAML_H_
#define UB_CORE_CONFIG_YAML_H_

#include <string>
#include <string_view>

#include "core/config_node.h"

namespace ub {

// The deepest nesting that any of the parsers takes.
inline constexpr int kMaxConfigDepth = 16;

// Reads `text`; `name` is what errors call it. Problems are appended; the node holds what could be
// read.
ConfigNode ParseYaml(std::string_view text, const std::string& name, ConfigProblems* problems);

// The library's version, for `info`.
std::string YamlLibraryVersion();

}  // namespace ub

#endif  // UB_CORE_CONFIG_YAML_H_
