// `ultrabalancer status`: the running instance's backends as a table, from GET /metrics of its
// management address. With --watch it is drawn anew every second, in place on a terminal.
#ifndef UB_CLI_STATUS_COMMAND_H_
#define UB_CLI_STATUS_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/status.h"

namespace ub {

// The exit status.
int RunStatus(const AdminConfig& config, bool watch);

// What a reload to `config` would change of the configuration that the running instance works by,
// one line a key. The instance is looked for at the management address that `config` names.
Result<std::vector<std::string>> DiffRunning(const Config& config);

// The table from the JSON of /metrics; empty where that is none. `color`: escape sequences may be
// used.
std::string StatusTable(std::string_view metrics, bool color);

}  // namespace ub

#endif  // UB_CLI_STATUS_COMMAND_H_
