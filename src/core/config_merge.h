// Lays one layer of configuration over another: default < file < environment < command line.
#ifndef UB_CORE_CONFIG_MERGE_H_
#define UB_CORE_CONFIG_MERGE_H_

#include "core/config_node.h"

namespace ub {

// Mappings merge key by key; scalars and lists of `over` replace those of `base`. `listen` of a
// higher layer puts listen_address and listen_port of the lower ones out of force, and the other
// way round.
void MergeConfig(ConfigNode* base, ConfigNode over);

}  // namespace ub

#endif  // UB_CORE_CONFIG_MERGE_H_
