// INI text into ConfigNodes, over inih. The only file that knows inih.
//
// Called by config_load in the master and by the checking commands.
// `[health_check.circuit_breaker]` is a nested section, `[backend NAME]` one backend. A list is
// separated by commas; text may stand in double quotes. A comment begins with `#` or `;` at the
// start of a line, or with `;` after a blank.
#ifndef UB_CORE_CONFIG_INI_H_
#define UB_CORE_CONFIG_INI_H_

#include <string>
#include <string_view>

#include "core/config_node.h"

namespace ub {

// Reads `text`; `name` is what errors call it. Problems are appended; the node holds what could be
// read.
ConfigNode ParseIni(std::string_view text, const std::string& name, ConfigProblems* problems);

}  // namespace ub

#endif  // UB_CORE_CONFIG_INI_H_
