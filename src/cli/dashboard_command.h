// `ultrabalancer dashboard`: says where the dashboard is; with --export writes what Prometheus and
// Grafana need to watch an instance: prometheus.yml, alert rules and a Grafana dashboard.
#ifndef UB_CLI_DASHBOARD_COMMAND_H_
#define UB_CLI_DASHBOARD_COMMAND_H_

#include <string>
#include <utility>
#include <vector>

#include "core/config.h"

namespace ub {

// `directory` empty: only says where. The exit status.
int RunDashboard(const AdminConfig& config, const std::string& directory);

// The files by their names, for an instance at `place` ("127.0.0.1:8081").
std::vector<std::pair<std::string, std::string>> ExportFiles(const std::string& place);

}  // namespace ub

#endif  // UB_CLI_DASHBOARD_COMMAND_H_
