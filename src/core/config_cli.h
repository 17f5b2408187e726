// Command line flags as a source of configuration. src/cli turns arguments into ConfigFlags; here
// they become nodes.
#ifndef UB_CORE_CONFIG_CLI_H_
#define UB_CORE_CONFIG_CLI_H_

#include <string>
#include <vector>

#include "core/config_node.h"

namespace ub {

struct ConfigFlag {
  std::string flag;   // as a person knows it, for messages: "--port", "-g workers"
  std::string path;   // "listen_port"
  std::string value;  // "8080"
};

// In order, later flags of one path replacing earlier ones; `--backend` flags add up to one list.
ConfigNode FlagNodes(const std::vector<ConfigFlag>& flags, ConfigProblems* problems);

}  // namespace ub

#endif  // UB_CORE_CONFIG_CLI_H_
