#include "upstream/runtime_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config_text.h"
#include "core/log.h"

namespace ub {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 64u << 20;
constexpr uint32_t kMaxWeight = 65535;

Status Broken(std::string why) {
  return Status(StatusCode::kInvalid, StatusSource::kConfig, std::move(why));
}

// False where the field is there and of another kind.
bool Take(const Json& from, const char* key, bool* out) {
  const auto at = from.find(key);
  if (at == from.end()) return true;
  if (at->is_boolean()) *out = at->get<bool>();
  return at->is_boolean();
}

bool Take(const Json& from, const char* key, uint32_t max, uint32_t* out) {
  const auto at = from.find(key);
  if (at == from.end()) return true;
  if (!at->is_number_unsigned() || at->get<uint64_t>() > max) return false;
  *out = at->get<uint32_t>();
  return true;
}

bool Take(const Json& from, const char* key, std::string* out) {
  const auto at = from.find(key);
  if (at == from.end()) return true;
  if (at->is_string()) *out = at->get<std::string>();
  return at->is_string();
}

}  // namespace

std::string RuntimeState::ToText() const {
  Json backends = Json::array();
  for (const auto& [address, change] : changes) {
    if (change.empty() || (change.added && change.removed)) continue;
    Json entry;
    entry["address"] = address;
    if (change.added) entry["added"] = true;
    if (change.removed) entry["removed"] = true;
    if (change.drained) entry["drained"] = true;
    if (change.weight != 0) entry["weight"] = change.weight;
    if (change.max_connections != 0) entry["max_connections"] = change.max_connections;
    if (change.backup) entry["backup"] = true;
    if (change.h2) entry["h2"] = true;
    if (!change.name.empty()) entry["name"] = change.name;
    backends.push_back(std::move(entry));
  }
  const Json whole = {{"version", kVersion}, {"backends", std::move(backends)}};
  return whole.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<RuntimeState> RuntimeState::Parse(std::string_view text) {
  const Json whole = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (whole.is_discarded() || !whole.is_object()) return Fail(Broken("it is no JSON object"));
  const auto version = whole.find("version");
  if (version == whole.end() || *version != kVersion) {
    return Fail(Broken(fmt::format("its version is not {}", kVersion)));
  }
  const auto backends = whole.find("backends");
  if (backends == whole.end() || !backends->is_array()) return Fail(Broken("it lists no backends"));
  RuntimeState state;
  for (const Json& entry : *backends) {
    RuntimeChange change;
    std::string address;
    const bool good =
        entry.is_object() && Take(entry, "address", &address) &&
        Take(entry, "added", &change.added) && Take(entry, "removed", &change.removed) &&
        Take(entry, "drained", &change.drained) &&
        Take(entry, "weight", kMaxWeight, &change.weight) &&
        Take(entry, "max_connections", 10'000'000, &change.max_connections) &&
        Take(entry, "backup", &change.backup) && Take(entry, "h2", &change.h2) &&
         Take(entry, "name", &change.name);
    if (!good || !ParseEndpoint(address, /*allow_weight=*/false)) {
      return Fail(Broken(fmt::format("its entry for \"{}\" is wrong", Printable(address))));
    }
    state.changes[address] = change;
  }
  return state;
}

Result<RuntimeState> RuntimeState::Load(const std::string& path) {
  Result<std::string> text = ReadSmallFile(path, kMaxBytes);
  if (!text && text.error().code() == StatusCode::kNotFound) return RuntimeState();
  if (!text && text.error().code() == StatusCode::kSystem) return Fail(text.error());
  Result<RuntimeState> state = text ? Parse(*text) : Fail(text.error());
  if (state) return state;
  const std::string aside = path + ".broken";
  const bool moved = rename(path.c_str(), aside.c_str()) == 0;
  Log(LogLevel::kError, "admin.state_file {} is broken: {}; {}", path, state.error().detail(),
      moved ? "set aside as " + aside : "it cannot be set aside and is ignored");
  return RuntimeState();
}

bool RuntimeState::Empty() const {
  return std::all_of(changes.begin(), changes.end(), [](const auto& entry) {
    return entry.second.empty() || (entry.second.added && entry.second.removed);
  });
}

Config RuntimeState::WithAdded(const Config& config) const {
  Config out = config;
  for (const auto& entry : changes) {
    const std::string& address = entry.first;  // no structured binding: clang 14 has none in a lambda
    const RuntimeChange& change = entry.second;
    if (!change.added) continue;
    const auto same = [&](const BackendConfig& each) { return each.AddressText() == address; };
    if (std::any_of(config.backends.begin(), config.backends.end(), same)) continue;
    const Result<Endpoint> endpoint = ParseEndpoint(address, /*allow_weight=*/false);
    if (!endpoint) continue;  // Parse let none of these in
    BackendConfig backend;
    backend.host = endpoint->host;
    backend.port = endpoint->port;
    backend.is_unix = endpoint->is_unix;
    backend.weight = change.weight != 0 ? change.weight : config.default_weight;
    backend.max_connections = change.max_connections;
    backend.backup = change.backup;
    backend.h2 = change.h2;
    backend.name = change.name.empty() ? address : change.name;
    out.backends.push_back(std::move(backend));
  }
  return out;
}

RuntimeChange RuntimeState::Find(const BackendSpec& spec) const {
  const auto at = [this](const std::string& address) {
    const auto found = changes.find(address);
    return found == changes.end() ? RuntimeChange() : found->second;
  };
  RuntimeChange out = at(spec.text);
  if (spec.given == spec.text) return out;
  const RuntimeChange name = at(spec.given);
  out.removed |= name.removed && !out.added;
  out.drained |= name.drained && !out.added;
  if (out.weight == 0) out.weight = name.weight;
  return out;
}

bool RuntimeState::Overlay(BackendSpec* spec) const {
  const RuntimeChange change = Find(*spec);
  if (change.weight != 0) spec->weight = change.weight;
  spec->admin = change.drained || change.removed ? AdminState::kDrain : AdminState::kReady;
  return !change.removed;
}

RuntimeState RuntimeState::Drains() const {
  RuntimeState out;
  for (const auto& [address, change] : changes) {
    if (change.drained && !change.removed && !change.added) out.changes[address].drained = true;
  }
  return out;
}

std::string LoadRuntimeState(const Config& config) {
  if (config.admin.state_file.empty()) return {};
  const Result<RuntimeState> state = RuntimeState::Load(config.admin.state_file);
  if (state) return state->ToText();
  Log(LogLevel::kError, "admin.state_file: {}", state.error().detail());
  return {};
}

}  // namespace ub
