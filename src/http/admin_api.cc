#include "http/admin_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "core/config_text.h"
#include "core/log.h"
#include "http/config_json.h"

namespace ub {
namespace {

constexpr uint32_t kMaxWeight = 65535;
constexpr uint32_t kMaxConnections = 10'000'000;
constexpr size_t kMaxName = 127;

// A request's body, checked. `error`: what is wrong; the rest is then of no use.
struct Asked {
  BackendConfig backend;
  std::string address;  // canonical
  bool has_weight = false;
  std::string error;
};

void TakeNumber(const Json& value, std::string_view key, uint64_t min, uint64_t max, uint32_t* out,
                std::string* error) {
  if (value.is_number_unsigned() && value.get<uint64_t>() >= min && value.get<uint64_t>() <= max) {
    *out = value.get<uint32_t>();
  } else {
    *error = fmt::format("{}: expected a whole number, {} to {}", key, min, max);
  }
}

void TakeAddress(const Json& value, Asked* asked) {
  if (!value.is_string()) {
    asked->error = "address: expected a text (\"HOST:PORT\")";
    return;
  }
  const std::string text = value.get<std::string>();
  const Result<Endpoint> endpoint = ParseEndpoint(text, /*allow_weight=*/false);
  if (!endpoint) {
    asked->error = fmt::format("address: {}", endpoint.error().detail());
    return;
  }
  asked->backend.host = endpoint->host;
  asked->backend.port = endpoint->port;
  asked->backend.is_unix = endpoint->is_unix;
  asked->address = asked->backend.AddressText();
}

void TakeField(const std::string& key, const Json& value, Asked* asked) {
  if (key == "address") {
    TakeAddress(value, asked);
  } else if (key == "weight") {
    TakeNumber(value, key, 1, kMaxWeight, &asked->backend.weight, &asked->error);
    asked->has_weight = true;
  } else if (key == "max_connections") {
    TakeNumber(value, key, 0, kMaxConnections, &asked->backend.max_connections, &asked->error);
  } else if (key == "backup") {
    if (value.is_boolean()) {
      asked->backend.backup = value.get<bool>();
    } else {
      asked->error = "backup: expected true or false";
    }
  } else if (key == "protocol") {
    asked->backend.h2 = value == "h2";
    if (!asked->backend.h2 && value != "http1") asked->error = "protocol: expected \"http1\" or \"h2\"";
  } else if (value.is_string() && value.get<std::string>().size() <= kMaxName) {
    asked->backend.name = value.get<std::string>();
  } else {
    asked->error = fmt::format("name: expected a text of at most {} bytes", kMaxName);
  }
}

Asked ParseBody(std::string_view body, const std::vector<std::string_view>& keys) {
  Asked asked;
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    asked.error = "the body is no JSON object (such as {\"address\":\"10.0.0.1:8080\"})";
    return asked;
  }
  for (const auto& [key, value] : json.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      const std::string_view nearest = NearestWord(key, keys);
      asked.error = nearest.empty() ? fmt::format("unknown field \"{}\" (one of {})", Printable(key),
                                                  fmt::join(keys, ", "))
                                    : fmt::format("unknown field \"{}\" (did you mean \"{}\"?)", Printable(key),
                                                  nearest);
    } else {
      TakeField(key, value, &asked);
    }
    if (!asked.error.empty()) return asked;
  }
  if (asked.address.empty()) asked.error = "address is missing (\"HOST:PORT\")";
  return asked;
}

ManagementResponse Failed(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
      return Envelope(404, status.detail());
    case StatusCode::kExists:
    case StatusCode::kExhausted:
      return Envelope(409, status.detail());
    case StatusCode::kInvalid:
    case StatusCode::kTooLarge:
      return Envelope(400, status.detail());
    case StatusCode::kUnavailable:
      return Envelope(503, status.detail());
    default:
      return Envelope(500, status.detail());
  }
}

void LogChange(const ManagementRequest& request, std::string_view what) {
  Log(LogLevel::kNotice, "admin: {} (by {}{})", what, request.peer,
      request.main_port ? ", on the main port" : "");
}

bool HasQuery(std::string_view query, std::string_view wanted) {
  for (const std::string_view part : SplitTrimmed(query, '&')) {
    if (part == wanted) return true;
  }
  return false;
}

}  // namespace

ManagementResponse Envelope(uint16_t status, std::string_view message, Json data) {
  ManagementResponse response;
  response.status = status;
  response.body = JsonText({{"success", status < 400}, {"message", message}, {"data", std::move(data)}});
  return response;
}

Json AdminApi::Shown(std::string_view address) const {
  for (const BackendMetrics& backend : SnapshotBackends(host_->shm(), false)) {
    if (backend.address == address) return BackendJson(backend);
  }
  return nullptr;
}

ManagementResponse AdminApi::List(const ManagementRequest&) {
  Json list = Json::array();
  for (const BackendMetrics& backend : SnapshotBackends(host_->shm(), true)) list.push_back(BackendJson(backend));
  return Envelope(200, fmt::format("{} backend{}", list.size(), list.size() == 1 ? "" : "s"), std::move(list));
}

ManagementResponse AdminApi::Add(const ManagementRequest& request) {
  Asked asked = ParseBody(request.body, {"address", "weight", "max_connections", "backup", "protocol", "name"});
  if (!asked.error.empty()) return Envelope(400, asked.error);
  if (!asked.has_weight) asked.backend.weight = 0;  // default_weight, or as configured
  if (Status status = host_->AddBackend(asked.backend); !status.ok()) return Failed(status);
  LogChange(request, fmt::format("backend {} added{}", asked.address,
                                 asked.has_weight ? fmt::format(", weight {}", asked.backend.weight) : ""));
  return Envelope(200, fmt::format("backend {} added", asked.address), Shown(asked.address));
}

ManagementResponse AdminApi::Remove(const ManagementRequest& request) {
  const Asked asked = ParseBody(request.body, {"address"});
  if (!asked.error.empty()) return Envelope(400, asked.error);
  uint32_t in_flight = 0;
  if (Status status = host_->RemoveBackend(asked.address, &in_flight); !status.ok()) return Failed(status);
  LogChange(request, fmt::format("backend {} removed, {} requests in flight", asked.address, in_flight));
  const std::string message =
      in_flight == 0 ? fmt::format("backend {} removed", asked.address)
                     : fmt::format("backend {} drains and is removed when its {} requests have ended", asked.address,
                                   in_flight);
  return Envelope(200, message, {{"address", asked.address}, {"in_flight", in_flight}});
}

ManagementResponse AdminApi::SetWeight(const ManagementRequest& request) {
  const Asked asked = ParseBody(request.body, {"address", "weight"});
  if (!asked.error.empty()) return Envelope(400, asked.error);
  if (!asked.has_weight) return Envelope(400, fmt::format("weight is missing (1 to {})", kMaxWeight));
  if (Status status = host_->SetWeight(asked.address, asked.backend.weight); !status.ok()) return Failed(status);
  const std::string what = fmt::format("backend {} has weight {}", asked.address, asked.backend.weight);
  LogChange(request, what);
  return Envelope(200, what, Shown(asked.address));
}

ManagementResponse AdminApi::SetDrain(const ManagementRequest& request, bool drain) {
  const Asked asked = ParseBody(request.body, {"address"});
  if (!asked.error.empty()) return Envelope(400, asked.error);
  if (Status status = host_->SetDrain(asked.address, drain); !status.ok()) return Failed(status);
  const std::string what =
      fmt::format("backend {} {}", asked.address, drain ? "drains" : "takes requests again");
  LogChange(request, what);
  return Envelope(200, what, Shown(asked.address));
}

ManagementResponse AdminApi::Drain(const ManagementRequest& request) { return SetDrain(request, true); }
ManagementResponse AdminApi::Undrain(const ManagementRequest& request) { return SetDrain(request, false); }

ManagementResponse AdminApi::Health(const ManagementRequest&) {
  return Envelope(200, host_->draining() ? "the balancer drains" : "the API serves",
                  {{"status", host_->draining() ? "draining" : "ok"},
                   {"version", Version()},
                   {"config_generation", host_->generation()}});
}

ManagementResponse AdminApi::ConfigInForce(const ManagementRequest&) {
  return Envelope(200, fmt::format("configuration {}", host_->generation()), ConfigJson(*host_->config()));
}

std::optional<ManagementResponse> AdminApi::Reload(const ManagementRequest& request) {
  const bool reset = HasQuery(request.query, "reset=true");
  const uint64_t ticket = next_ticket_++;
  if (Status status = host_->RequestReload(ticket, reset); !status.ok()) return Envelope(503, status.detail());
  LogChange(request, reset ? "reload, dropping what was changed at run time" : "reload");
  reloads_[ticket] = request.exchange;
  return std::nullopt;
}

std::optional<AdminApi::ReloadAnswer> AdminApi::OnReloadResult(uint64_t ticket, std::string_view errors, bool everywhere) {
  const auto at = reloads_.find(ticket);
  if (at == reloads_.end()) return std::nullopt;
  const uint64_t exchange = at->second;
  reloads_.erase(at);
  if (errors.empty()) {
    const char* const how = everywhere ? "the new configuration is in force"
                                       : "the new configuration is handed out, not every process has taken it yet";
    return ReloadAnswer{exchange, Envelope(everywhere ? 200 : 202, how, {{"config_generation", host_->generation()}})};
  }
  Json lines = Json::array();
  for (const std::string_view line : SplitTrimmed(errors, '\n')) lines.push_back(line);
  return ReloadAnswer{exchange, Envelope(400, "the configuration was refused, the old one stays in force",
                                         {{"errors", std::move(lines)}})};
}

}  // namespace ub
