#include "cli/dashboard_command.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/management_client.h"
#include "core/atomic_file.h"

namespace ub {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPrometheus = R"(# Prometheus' configuration for UltraBalancer. Check it with: promtool check config prometheus.yml
global:
  scrape_interval: 5s
  evaluation_interval: 5s

rule_files:
  - ultrabalancer.rules.yml

scrape_configs:
  - job_name: ultrabalancer
    metrics_path: /prometheus
    static_configs:
      - targets: ["{}"]
)";

constexpr std::string_view kRules = R"(# Alert rules for UltraBalancer. Check them with: promtool check rules ultrabalancer.rules.yml
groups:
  - name: ultrabalancer
    rules:
      - alert: UltraBalancerDown
        expr: up{job="ultrabalancer"} == 0
        for: 1m
        labels: { severity: critical }
        annotations:
          summary: "UltraBalancer at {{ $labels.instance }} does not answer"
      - alert: UltraBalancerBackendDown
        expr: ultrabalancer_backend_healthy == 0
        for: 1m
        labels: { severity: warning }
        annotations:
          summary: "Backend {{ $labels.backend }} fails its checks"
      - alert: UltraBalancerNoBackend
        expr: max by (instance) (ultrabalancer_backend_healthy) == 0
        labels: { severity: critical }
        annotations:
          summary: "No backend of {{ $labels.instance }} is healthy"
      - alert: UltraBalancerCircuitOpen
        expr: ultrabalancer_circuit_breaker_state == 2
        for: 1m
        labels: { severity: warning }
        annotations:
          summary: "The circuit breaker of {{ $labels.backend }} is open"
      - alert: UltraBalancerErrors
        expr: >
          sum by (instance) (rate(ultrabalancer_failed_requests_total[5m]))
          > 0.05 * sum by (instance) (rate(ultrabalancer_requests_total[5m]))
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: "More than 5 % of the requests at {{ $labels.instance }} fail"
      - alert: UltraBalancerSlow
        expr: >
          histogram_quantile(0.99, sum by (instance, le) (rate(ultrabalancer_response_time_seconds_bucket[5m]))) > 1
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: "The slowest 1 % at {{ $labels.instance }} take more than a second"
)";

Json Target(std::string_view expression, std::string_view legend) {
  return {{"expr", expression}, {"legendFormat", legend}, {"refId", legend}};
}

class Panels {
 public:
  void Add(std::string_view title, std::string_view unit, Json targets, std::string_view type = "timeseries") {
    const int at = static_cast<int>(panels_.size());
    panels_.push_back({{"id", at + 1},
                       {"title", title},
                       {"type", type},
                       {"datasource", {{"type", "prometheus"}, {"uid", "${datasource}"}}},
                       {"gridPos", {{"h", 8}, {"w", 12}, {"x", at % 2 * 12}, {"y", at / 2 * 8}}},
                       {"fieldConfig", {{"defaults", {{"unit", unit}, {"min", 0}}}, {"overrides", Json::array()}}},
                       {"targets", std::move(targets)}});
  }
  Json Take() { return std::move(panels_); }

 private:
  Json panels_ = Json::array();
};

std::string GrafanaDashboard() {
  const auto quantile = [](std::string_view q, std::string_view metric, std::string_view by) {
    return fmt::format("histogram_quantile({}, sum by ({}le) (rate({}_bucket[$__rate_interval])))", q, by, metric);
  };
  Panels panels;
  panels.Add("Requests", "reqps",
             Json::array({Target("sum by (code) (rate(ultrabalancer_requests_total[$__rate_interval]))", "{{code}}")}));
  panels.Add("Response time", "s",
             Json::array({Target(quantile("0.5", "ultrabalancer_response_time_seconds", ""), "p50"),
                          Target(quantile("0.95", "ultrabalancer_response_time_seconds", ""), "p95"),
                          Target(quantile("0.99", "ultrabalancer_response_time_seconds", ""), "p99")}));
  panels.Add("Failed share", "percentunit",
             Json::array({Target("sum(rate(ultrabalancer_failed_requests_total[$__rate_interval])) / "
                                 "sum(rate(ultrabalancer_requests_total[$__rate_interval]))",
                                 "failed")}));
  panels.Add("Client connections", "short", Json::array({Target("ultrabalancer_connections_active", "open")}));
  panels.Add("Requests by backend", "reqps",
             Json::array({Target("sum by (backend) (rate(ultrabalancer_backend_requests_total[$__rate_interval]))",
                                 "{{backend}}")}));
  panels.Add("p99 by backend", "s",
             Json::array({Target(quantile("0.99", "ultrabalancer_backend_response_time_seconds", "backend, "),
                                 "{{backend}}")}));
  panels.Add("In flight by backend", "short",
             Json::array({Target("ultrabalancer_backend_active_connections", "{{backend}}")}));
  panels.Add("Healthy backends", "short",
             Json::array({Target("sum(ultrabalancer_backend_healthy)", "healthy"),
                          Target("count(ultrabalancer_backend_healthy)", "configured")}));
  panels.Add("Circuit breakers (0 closed, 1 half-open, 2 open)", "short",
             Json::array({Target("ultrabalancer_circuit_breaker_state", "{{backend}}")}));
  panels.Add("Traffic with clients", "Bps",
             Json::array({Target("rate(ultrabalancer_sent_bytes_total[$__rate_interval])", "sent"),
                          Target("rate(ultrabalancer_received_bytes_total[$__rate_interval])", "received")}));
  const Json dashboard = {
      {"title", "UltraBalancer"},
      {"uid", "ultrabalancer"},
      {"tags", {"ultrabalancer"}},
      {"schemaVersion", 36},
      {"version", 1},
      {"refresh", "5s"},
      {"time", {{"from", "now-30m"}, {"to", "now"}}},
      {"templating",
       {{"list",
         Json::array({{{"name", "datasource"}, {"type", "datasource"}, {"query", "prometheus"}, {"label", "Prometheus"}}})}}},
      {"panels", panels.Take()}};
  return dashboard.dump(2) + "\n";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ExportFiles(const std::string& place) {
  return {{"prometheus.yml", fmt::format(fmt::runtime(kPrometheus), place)},
          {"ultrabalancer.rules.yml", std::string(kRules)},
          {"grafana-dashboard.json", GrafanaDashboard()}};
}

int RunDashboard(const AdminConfig& config, const std::string& directory) {
  const std::string place = ManagementPlace(config);
  if (place.empty()) {
    PrintErrors({"admin.enabled is false: there is no management address"});
    return 1;
  }
  const bool is_unix = place.starts_with("unix:");
  if (directory.empty()) {
    if (is_unix) {
      return WriteOut(
          fmt::format("{} (such as: curl --unix-socket {} http://localhost/dashboard)\n", place,
                      place.substr(5)),
          0);
    }
    return WriteOut(fmt::format("http://{}/dashboard\n", place), 0);
  }
  if (is_unix) {
    PrintErrors({"Prometheus does not scrape unix sockets: give admin.listen_address an IP address"});
    return 1;
  }
  if (mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST) {
    PrintErrors({Status::System("cannot make " + directory, errno).detail()});
    return 1;
  }
  for (const auto& [name, content] : ExportFiles(place)) {
    const std::string path = fmt::format("{}/{}", directory, name);
    if (Status status = ReplaceFile(path, content); !status.ok()) {
      PrintErrors({status.detail()});
      return 1;
    }
    chmod(path.c_str(), 0644);
    if (WriteOut(path + "\n", 0) != 0) return 1;
  }
  return 0;
}

}  // namespace ub
