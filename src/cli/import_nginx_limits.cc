#include <fmt/format.h>

#include <algorithm>

#include "cli/import_nginx.h"

namespace ub {
namespace {

using Directive = NginxDirective;
using Import = NginxImport;

void Zone(Import& import, const Directive& d) {
  for (const std::string& word : d.words) {
    if (!word.starts_with("zone=")) continue;
    import.zones[word.substr(5, word.find(':') - 5)] = &d;
  }
}

const Directive* ZoneOf(Import& import, const Directive& d, std::string_view name) {
  const auto found = import.zones.find(std::string(name));
  if (found != import.zones.end()) return found->second;
  import.Remark(d, "there is no such zone in what was read");
  return nullptr;
}

// What our rate limit may count by, of the key of a zone; empty: none of it.
std::string KeyOf(const std::string& key) {
  if (key == "$binary_remote_addr" || key == "$remote_addr") return "client_ip";
  if (key.starts_with("$cookie_")) return "cookie:" + key.substr(8);
  if (!key.starts_with("$http_")) return {};
  std::string name = "header:" + key.substr(6);
  std::ranges::replace(name, '_', '-');
  return name;
}

// "rate=10r/s", "rate=30r/m" in requests a second, at least 1.
bool Rate(Import& import, const Directive& zone, uint64_t* rate) {
  const auto word = std::ranges::find_if(
      zone.words, [](const std::string& text) { return text.starts_with("rate="); });
  if (word == zone.words.end()) return false;
  const std::string text = word->substr(5);
  const size_t unit = text.find("r/");
  if (!import.Number(zone, text.substr(0, unit), rate)) return false;
  if (unit != std::string::npos && text.substr(unit) == "r/m") {
    if (*rate % 60 != 0) import.Remark(zone, "a rate is in whole requests a second: rounded up");
    *rate = (*rate + 59) / 60;
  }
  return true;
}

void LimitReq(Import& import, const Directive& d) {
  uint64_t rate = 0, burst = 0;
  bool delayed = true;
  const Directive* zone = nullptr;
  for (size_t i = 0; i < d.size(); ++i) {
    const std::string& word = d.arg(i);
    if (word.starts_with("zone=")) zone = ZoneOf(import, d, word.substr(5));
    if (word == "nodelay") delayed = false;
    if (word.starts_with("burst=") && !import.Number(d, word.substr(6), &burst)) return;
  }
  if (zone == nullptr || !Rate(import, *zone, &rate)) return;
  const std::string key = KeyOf(zone->arg(0));
  if (key.empty()) {
    return import.Remark(d, "rate_limit.key takes client_ip, a header or a cookie");
  }
  if (import.draft->Has("rate_limit.enabled")) {
    return import.Remark(d, "there is one rate limit; another was taken before");
  }
  import.draft->SetBool("rate_limit.enabled", true, d.at);
  import.draft->SetNumber("rate_limit.requests_per_second", rate, zone->at);
  // nginx's burst is what may come beyond the one that is due.
  import.draft->SetNumber("rate_limit.burst", burst + 1, d.at);
  if (key != "client_ip") import.draft->Set("rate_limit.key", key, zone->at);
  if (delayed && burst > 0) {
    import.Remark(d,
                  "nginx delays the burst; here it passes at once, and what is beyond it gets 429");
  }
}

void LimitConn(Import& import, const Directive& d) {
  uint64_t number = 0;
  if (d.size() < 2) return import.Remark(d, "needs a zone and a number");
  const Directive* zone = ZoneOf(import, d, d.arg(0));
  if (zone == nullptr || !import.Number(d, d.arg(1), &number)) return;
  if (KeyOf(zone->arg(0)) != "client_ip") {
    return import.Remark(d, "connections are limited by the client's address only");
  }
  import.draft->SetNumber("limits.connections_per_client", number, d.at);
}

void LogFormat(Import& import, const Directive& d) {
  bool json = false;
  for (const std::string& word : d.words) {
    json = json || word == "escape=json" || word.starts_with('{');
  }
  import.json_formats[d.arg(0)] = json;
}

}  // namespace

void CollectNginxZone(NginxImport* import, const NginxDirective& directive) {
  if (directive.size() == 0) return;
  const std::string& name = directive.name();
  if (name == "limit_req_zone" || name == "limit_conn_zone") Zone(*import, directive);
  if (name == "log_format") LogFormat(*import, directive);
}

void ImportNginxLimit(NginxImport* import, const NginxDirective& directive) {
  if (directive.name() == "limit_req") {
    LimitReq(*import, directive);
  } else {
    LimitConn(*import, directive);
  }
}

}  // namespace ub
