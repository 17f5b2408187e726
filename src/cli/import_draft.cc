#include "cli/import_draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <optional>
#include <set>
#include <utility>

#include "cli/import_refused.h"
#include "core/config_bind.h"
#include "core/config_keys.h"
#include "core/config_load.h"
#include "core/config_print.h"
#include "core/config_text.h"

namespace ub {
namespace {

std::string LineOf(const SourcePosition& at) {
  return at.line == 0 ? at.ToString() : fmt::format("{}:{}", *at.source, at.line);
}

// Values that are not UTF-8, which no configuration may hold.
void FindForeignBytes(const ConfigNode& node, ConfigProblems* problems) {
  if (node.IsScalar() && FindInvalidUtf8(node.text) != std::string::npos) {
    problems->push_back({node.position, fmt::format("\"{}\" is not UTF-8", node.text)});
  }
  for (const ConfigEntry& entry : node.entries) FindForeignBytes(entry.value, problems);
  for (const ConfigNode& item : node.items) FindForeignBytes(item, problems);
}

}  // namespace

std::string ImportText(std::string_view text, size_t max) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= max) return out + "...";
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

void ImportDraft::Set(std::string_view path, std::string text, const SourcePosition& at) {
  if (const ConfigNode* there = root_.FindPath(path)) {
    if (there->text != text && !quiet_) {
      Remark(at,
             fmt::format("{}: {} differs from {} at {}, which was taken (one value holds for all)",
                         path, ImportText(text), ImportText(there->text), LineOf(there->position)));
    }
    return;
  }
  ++taken_;
  // Everything is text here; the binder knows what each key takes.
  root_.SetPath(path, ConfigNode::Scalar(std::move(text), at));
}

void ImportDraft::SetNumber(std::string_view path, uint64_t value, const SourcePosition& at) {
  const ConfigKey* key = FindConfigKey(path);
  const uint64_t fits = key == nullptr ? value : std::clamp(value, key->min, key->max);
  if (fits != value && !Has(path)) {
    Remark(at, fmt::format("{}: {} is out of its range, {} was taken", path, value, fits));
  }
  Set(path, std::to_string(fits), at);
}

void ImportDraft::Add(std::string_view path, std::string item, const SourcePosition& at) {
  if (!Has(path)) root_.SetPath(path, ConfigNode::Sequence(at));
  if (!added_[std::string(path)].insert(item).second) return;
  ++taken_;
  auto* list = const_cast<ConfigNode*>(root_.FindPath(path));
  list->items.push_back(ConfigNode::Scalar(std::move(item), at, true));
}

void ImportDraft::AddTlsListener(const std::string& address, const SourcePosition& at) {
  tls_listeners_.emplace_back(address, at);
}

void ImportDraft::AddCertificate(const std::string& certificate, const std::string& key,
                                 const SourcePosition& at) {
  for (const std::string& path : {certificate, key}) {
    const bool indirect = path.find('$') != std::string::npos || path.starts_with("data:") ||
                          path.starts_with("engine:");
    if (!indirect && path.find_first_of(" \t,") == std::string::npos) continue;
    Remark(at, fmt::format("\"{}\" is not a fixed path without blanks and commas: left out",
                           ImportText(path, PATH_MAX)));
    return;
  }
  Add("tls.certificates", key.empty() || key == certificate ? certificate : certificate + " " + key,
      at);
}

void ImportDraft::SetHsts(std::string_view value, const SourcePosition& at) {
  constexpr std::string_view kAge = "max-age=";
  size_t from = std::min(ToLowerAscii(value).find(kAge), value.size());
  from = std::min(from + kAge.size(), value.size());
  std::string_view digits = value.substr(from);
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  const std::optional<uint64_t> seconds = ParseUnsigned(digits);
  if (!seconds) return Remark(at, "Strict-Transport-Security without a max-age: left out");
  SetNumber("tls.hsts_seconds", *seconds, at);
  if (value.find(';') == std::string_view::npos) return;
  Remark(at, "Strict-Transport-Security: the time alone is sent (tls.hsts_seconds)");
}

void ImportDraft::SetEntry(std::string_view path, const std::string& name, std::string value,
                           const SourcePosition& at) {
  if (!Has(path)) root_.SetPath(path, ConfigNode::Mapping(at));
  auto* map = const_cast<ConfigNode*>(root_.FindPath(path));
  if (map->Find(name) == nullptr) map->Set(name, ConfigNode::Scalar(std::move(value), at, true));
}

void ImportDraft::AddBackend(const ImportedBackend& backend, const SourcePosition& at) {
  if (!Has("backends")) root_.Set("backends", ConfigNode::Sequence(at));
  std::vector<ConfigNode>& list = root_.Find("backends")->items;
  const std::string port = std::to_string(backend.port);
  const std::string address = backend.port == 0 ? backend.host : backend.host + ":" + port;
  const auto [there, is_new] = addresses_.emplace(address, at);
  if (!is_new) {
    Remark(at, fmt::format("{} is there already, from {} (an address is one backend: give that one "
                           "the sum of the weights)",
                           ImportText(address), LineOf(there->second)));
    return;
  }
  ConfigNode node = ConfigNode::Mapping(at);
  if (!backend.name.empty()) node.Set("name", ConfigNode::Scalar(backend.name, at, true));
  node.Set("host", ConfigNode::Scalar(backend.host, at, true));
  if (backend.port != 0) node.Set("port", ConfigNode::Scalar(port, at));
  if (backend.weight) {
    node.Set("weight", ConfigNode::Scalar(std::to_string(*backend.weight), at));
  }
  if (backend.max_connections != 0) {
    node.Set("max_connections", ConfigNode::Scalar(std::to_string(backend.max_connections), at));
  }
  if (backend.backup) node.Set("backup", ConfigNode::Scalar("true", at));
  if (backend.h2) node.Set("protocol", ConfigNode::Scalar("h2", at));
  list.push_back(std::move(node));
}

size_t ImportDraft::backends() const {
  const ConfigNode* list = root_.Find("backends");
  return list == nullptr ? 0 : list->items.size();
}

void ImportDraft::Remove(std::string_view path) {
  std::erase_if(added_, [&](const auto& list) { return list.first.starts_with(path); });
  const size_t dot = path.rfind('.');
  auto* section = dot == std::string_view::npos
                      ? &root_
                      : const_cast<ConfigNode*>(root_.FindPath(path.substr(0, dot)));
  if (section != nullptr) {
    section->Remove(dot == std::string_view::npos ? path : path.substr(dot + 1));
  }
}

void ImportDraft::Remark(const SourcePosition& at, std::string text) {
  if (said_.insert(at.ToString() + text).second) remarks_.push_back({at, std::move(text)});
}

void ImportDraft::Fault(const SourcePosition& at, const std::string& text) {
  faults_.push_back({at, ImportText(text, 400)});
}

std::vector<std::string> ImportDraft::FaultLines() {
  SortProblems(&faults_);
  std::vector<std::string> lines;
  for (const ConfigProblem& fault : faults_) lines.push_back(fault.ToString());
  return lines;
}

// Takes out the values that the binder complains of. False: it complains of none of them.
bool ImportDraft::DropRefused(const ConfigProblems& problems) {
  for (const ConfigProblem& problem : problems) {
    Remark(problem.position, ImportText(problem.text, 200));
  }
  const bool dropped = RemoveRefused(&root_, problems);
  LeaveAPrimary();
  return dropped;
}

void ImportDraft::LeaveAPrimary() {
  ConfigNode* list = root_.Find("backends");
  if (list == nullptr) return;
  const auto is_backup = [](const ConfigNode& node) { return node.Find("backup") != nullptr; };
  if (!std::ranges::all_of(list->items, is_backup)) return;
  for (ConfigNode& backend : list->items) {
    Remark(backend.position, "the server is no backup here: no other one is carried over");
    backend.Remove("backup");
  }
}

void ImportDraft::FinishTls() {
  for (const auto& [address, at] : tls_listeners_) {
    if (ServesTls()) {
      Add("listen", address + " tls", at);
    } else {
      Remark(at, fmt::format("{}: TLS without a certificate: left out", ImportText(address)));
    }
  }
  if (ServesTls()) return;
  if (const ConfigNode* redirect = root_.FindPath("tls.redirect_http")) {
    Remark(redirect->position, "there is no listener with TLS to redirect to");
  }
  Remove("tls");
}

void ImportDraft::AddIpv4Listeners() {
  const ConfigNode* list = root_.FindPath("listen");
  if (list == nullptr) return;
  constexpr std::string_view kAnyIpv6 = "[::]:", kAnyIpv4 = "0.0.0.0:";
  const auto place = [](std::string_view item) { return item.substr(0, item.find(' ')); };
  const std::vector<ConfigNode> items = list->items;
  std::set<std::string, std::less<>> places;
  for (const ConfigNode& item : items) places.emplace(place(item.text));
  for (const ConfigNode& item : items) {
    if (!item.text.starts_with(kAnyIpv6)) continue;
    const std::string rest = item.text.substr(kAnyIpv6.size());  // "443 tls"
    if (!both_families_.contains(place(rest))) continue;
    const std::string ipv4 = std::string(kAnyIpv4) + rest;
    if (!places.contains(place(ipv4))) Add("listen", ipv4, item.position);
  }
}

std::string ImportDraft::Finish(const std::string& head) {
  FinishTls();
  AddIpv4Listeners();
  if (backends() > 1024) {
    root_.Set("shared_memory", ConfigNode::Mapping(root_.position));
    SetNumber("shared_memory.max_backends", backends(), root_.Find("backends")->position);
  }
  ConfigProblems foreign;
  FindForeignBytes(root_, &foreign);
  DropRefused(foreign);
  BindResult bound = BindConfig(root_, {});
  while (!bound.problems.empty() && DropRefused(bound.problems)) bound = BindConfig(root_, {});
  if (!bound.problems.empty()) {
    for (const ConfigProblem& problem : bound.problems) Fault(problem.position, problem.text);
    return {};
  }
  if (!Has("listen")) {
    Remark(root_.position,
           "requests are taken at port 8080, the default: no address for clients was carried over");
  }
  std::string out = head + "\n";
  out += PrintConfig(bound.config, {.sources = &root_, .only_given = true});
  if (!remarks_.empty()) out += "\n# Not carried over, or not to the letter:\n";
  SortProblems(&remarks_);
  for (const ConfigProblem& remark : remarks_) {
    out += fmt::format("# {}: {}\n", LineOf(remark.position), ImportText(remark.text, 400));
  }
  return out;
}

}  // namespace ub
