#include "cli/status_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "cli/cli.h"
#include "cli/management_client.h"
#include "http/config_json.h"

namespace ub {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void OnInterrupt(int) { interrupted = 1; }

std::string Text(const Json& from, const char* key) {
  const auto at = from.find(key);
  return at != from.end() && at->is_string() ? at->get<std::string>() : std::string("-");
}

double Number(const Json& from, const char* key) {
  const auto at = from.find(key);
  return at != from.end() && at->is_number() ? at->get<double>() : 0;
}

// "950", "12.3k", "4.56M": seven places at most.
std::string Short(double number) {
  if (number < 10'000) return fmt::format("{:.0f}", number);
  if (number < 1e6) return fmt::format("{:.1f}k", number / 1e3);
  if (number < 1e9) return fmt::format("{:.2f}M", number / 1e6);
  return fmt::format("{:.2f}G", number / 1e9);
}

std::string Uptime(double seconds) {
  const auto s = static_cast<long long>(seconds);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string_view ColorOf(std::string_view state) {
  if (state == "up" || state == "closed") return "\033[32m";
  if (state == "down" || state == "open") return "\033[31m";
  return "\033[33m";
}

std::string Painted(const std::string& word, size_t width, bool color) {
  const std::string padded = fmt::format("{:<{}}", word, width);
  return color ? fmt::format("{}{}\033[0m", ColorOf(word), padded) : padded;
}

std::string BackendLine(const Json& backend, size_t width, bool color) {
  return fmt::format("{:<{}}  {}  {}  {:>6}  {:>9}  {:>9}  {:>8}  {:>9.1f}  {:>9.1f}\n", Text(backend, "address"),
                     width, Painted(Text(backend, "state"), 10, color),
                     Painted(Text(backend, "circuit_state"), 9, color), Short(Number(backend, "weight")),
                     Short(Number(backend, "active_connections")), Short(Number(backend, "total_requests")),
                     Short(Number(backend, "failures")), Number(backend, "p50_response_time_ms"),
                     Number(backend, "p99_response_time_ms"));
}

// A line cut or a longer one before it leaves nothing behind on the screen.
std::string InPlace(const std::string& table) {
  std::string out = "\033[H";
  for (const char c : table) {
    if (c == '\n') out += "\033[K";
    out += c;
  }
  return out + "\033[J";
}

}  // namespace

std::string StatusTable(std::string_view metrics, bool color) {
  const Json json = Json::parse(metrics, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object() || !json.contains("backends") || !json["backends"].is_array()) return {};
  std::string out = fmt::format(
      "ultrabalancer {}  {}  up {}  {} workers\n"
      "{} requests/s (10 s: {}, 1 min: {})  {} requests, {} failed  {} connections\n"
      "response ms: avg {:.1f}  p50 {:.1f}  p95 {:.1f}  p99 {:.1f}  max {:.1f}\n\n",
      Text(json, "version"), Text(json, "algorithm"), Uptime(Number(json, "uptime_seconds")),
      json.contains("workers") ? json["workers"].size() : 0, Short(Number(json, "requests_per_second")),
      Short(Number(json, "requests_per_second_10s")), Short(Number(json, "requests_per_second_1m")),
      Short(Number(json, "total_requests")), Short(Number(json, "failed_requests")),
      Short(Number(json, "connections_active")), Number(json, "avg_response_time_ms"),
      Number(json, "p50_response_time_ms"), Number(json, "p95_response_time_ms"), Number(json, "p99_response_time_ms"),
      Number(json, "max_response_time_ms"));
  size_t width = 7;
  for (const Json& backend : json["backends"]) width = std::max(width, Text(backend, "address").size());
  const std::string heading =
      fmt::format("{:<{}}  {:<10}  {:<9}  {:>6}  {:>9}  {:>9}  {:>8}  {:>9}  {:>9}\n", "BACKEND", width, "STATE",
                  "CIRCUIT", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES", "P50 MS", "P99 MS");
  out += color ? fmt::format("\033[1m{}\033[0m", heading) : heading;
  for (const Json& backend : json["backends"]) out += BackendLine(backend, width, color);
  return out;
}

Result<std::vector<std::string>> DiffRunning(const Config& config) {
  const Result<ManagementReply> reply = AskManagement(config.admin, "/admin/config");
  if (!reply) return Fail(reply.error());
  const ub::Json answer = ub::Json::parse(reply->body, nullptr, /*allow_exceptions=*/false);
  const bool envelope = answer.is_object() && answer.contains("data");
  if (reply->status == 200 && envelope) return DiffConfigJson(answer["data"], ConfigJson(config));
  std::string why = "it does not answer as a management address does";
  if (envelope && answer.contains("message") && answer["message"].is_string()) {
    why = answer["message"].get<std::string>();
  }
  return Fail(Status(StatusCode::kPermission, StatusSource::kSystem,
                     fmt::format("{}: {}", ManagementPlace(config.admin), why)));
}

int RunStatus(const AdminConfig& config, bool watch) {
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  const bool color = terminal && getenv("NO_COLOR") == nullptr;
  const bool in_place = watch && terminal;
  if (watch) {
    struct sigaction action {};
    action.sa_handler = OnInterrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
  }
  if (in_place && WriteOut("\033[2J\033[?25l", 0) != 0) return 1;
  do {
    const Result<ManagementReply> reply = AskManagement(config, "/metrics");
    const std::string table = reply && reply->status == 200 ? StatusTable(reply->body, color) : std::string();
    if (table.empty()) {
      if (in_place) WriteOut("\033[?25h", 0);
      PrintErrors({reply ? ManagementPlace(config) + " does not answer as a management address does"
                         : reply.error().detail()});
      return 1;
    }
    if (WriteOut(in_place ? InPlace(table) : table + (watch ? "\n" : ""), 0) != 0) return 1;
    const timespec second{1, 0};
    if (watch) nanosleep(&second, nullptr);
  } while (watch && interrupted == 0);
  return in_place ? WriteOut("\033[?25h\n", 0) : 0;
}

}  // namespace ub
