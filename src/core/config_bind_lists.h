// Binds `backends` and the `listen` keys: the lists of things that must differ from each other.
// Used by config_bind only.
#ifndef UB_CORE_CONFIG_BIND_LISTS_H_
#define UB_CORE_CONFIG_BIND_LISTS_H_

#include "core/config.h"
#include "core/config_node.h"

namespace ub {

// Entries are mappings (host, port, …) or "HOST:PORT[:WEIGHT]"; `config->default_weight` is bound
// already.
void BindBackends(const ConfigNode& node, Config* config, ConfigProblems* problems);

// `listen`, or listen_address and listen_port, whichever `root` has; fills config->listen.
void BindListen(const ConfigNode& root, Config* config, ConfigProblems* problems);

}  // namespace ub

#endif  // UB_CORE_CONFIG_BIND_LISTS_H_
