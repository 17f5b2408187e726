#include "core/config_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/config_keys.h"

namespace ub {
namespace {

using Shape = KeyValue::Shape;

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// YAML takes some letters for line breaks, and others not at all; they go as \uXXXX.
std::string QuoteForYaml(std::string_view text) {
  std::string out;
  const std::string quoted = Quote(text);
  for (size_t i = 0; i < quoted.size(); ++i) {
    const auto byte = [&](size_t k) {
      return k < quoted.size() ? static_cast<unsigned char>(quoted[k]) : 0u;
    };
    const unsigned two = (byte(i) & 0x1f) << 6 | (byte(i + 1) & 0x3f);
    const unsigned three = (byte(i) & 0xf) << 12 | (byte(i + 1) & 0x3f) << 6 | (byte(i + 2) & 0x3f);
    const bool control = byte(i) == 0xc2 && two < 0xa0;
    const bool odd = (byte(i) == 0xe2 || byte(i) == 0xef) &&
                     (three == 0x2028 || three == 0x2029 || three == 0xfeff || three >= 0xfffe);
    if (control || odd) {
      out += fmt::format("\\u{:04x}", control ? two : three);
      i += control ? 1 : 2;
    } else {
      out += quoted[i];
    }
  }
  return out;
}

class Printer {
 public:
  Printer(const Config& config, const PrintOptions& options) : config_(config), options_(options) {}

  std::string Run();

 private:
  bool yaml() const { return options_.format == ConfigFormat::kYaml; }
  bool ini() const { return options_.format == ConfigFormat::kIni; }
  void Line(std::string_view text) {
    out_ += text;
    out_ += '\n';
  }
  std::string Indent() const { return std::string(yaml() ? depth_ * 2 : 0, ' '); }
  void EnterSection(std::string_view section);
  void PrintKey(const ConfigKey& key);
  void PrintMeaning(const ConfigKey& key);
  void PrintBackends();
  void PrintOneBackend(const BackendConfig& backend, size_t index);
  // "key: value" or "key = value".
  std::string Assign(std::string_view name, std::string_view value) const {
    return fmt::format("{}{}{}{}", name, yaml() ? ":" : " =", value.empty() ? "" : " ", value);
  }
  std::string ValueText(const ConfigKey& key, const KeyValue& value) const;
  std::string ItemText(std::string_view item) const;
  // Text in quotes, as the format wants it.
  std::string Written(std::string_view text) const {
    return yaml() ? QuoteForYaml(text) : Quote(text);
  }
  // "  # app.yaml:3:7", where sources are asked for.
  std::string SourceOf(std::string_view path) const;
  std::string PlaceOf(const SourcePosition& position) const;
  // Whether a key is printed at all.
  bool Wanted(const ConfigKey& key) const;
  bool CommentedOut(const ConfigKey& key, const KeyValue& value) const;

  const Config& config_;
  const PrintOptions& options_;
  std::string out_;
  std::string section_;
  size_t depth_ = 0;
  std::string held_map_;  // INI: a map is a section of its own, after the keys of the one that it
                          // belongs to
};

std::string Printer::ItemText(std::string_view item) const {
  const bool number =
      !item.empty() && item.find_first_not_of("0123456789") == std::string_view::npos;
  if (ini() || (number && !yaml())) return std::string(item);
  const bool word =
      item.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") == std::string_view::npos;
  return yaml() && word && !item.empty() ? std::string(item) : Written(item);
}

std::string Printer::ValueText(const ConfigKey& key, const KeyValue& value) const {
  std::string text;
  switch (value.shape) {
    case Shape::kPlain: {
      // Words and units are text to TOML, numbers and booleans are not.
      const bool bare = value.text.find_first_not_of("0123456789") == std::string::npos ||
                        value.text == "true" || value.text == "false";
      return yaml() || ini() || bare ? value.text : Written(value.text);
    }
    case Shape::kText:
      return Written(value.text);
    case Shape::kHidden:
      return Written(std::get<std::string*>(key.field(const_cast<Config&>(config_)))->c_str());
    case Shape::kList:
      for (const std::string& item : value.items)
        text += (text.empty() ? "" : ", ") + ItemText(item);
      return ini() ? text : "[" + text + "]";
    case Shape::kMap:
      break;
  }
  for (const auto& [name, content] : value.entries) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", Assign(Written(name), Written(content)));
  }
  return text.empty() ? "{}" : "{ " + text + " }";
}

std::string Printer::SourceOf(std::string_view path) const {
  if (options_.sources == nullptr) return {};
  const ConfigNode* node = options_.sources->FindPath(path);
  // Values that another key has given.
  if (node == nullptr && path.starts_with("listen_")) node = options_.sources->Find("listen");
  if (node == nullptr && path == "health_check.type" && config_.health_check.http()) {
    node = options_.sources->FindPath("health_check.path");
  }
  return "  # " + (node == nullptr ? "default" : PlaceOf(node->position));
}

std::string Printer::PlaceOf(const SourcePosition& position) const {
  if (!options_.only_given || position.line == 0) return position.ToString();
  return fmt::format("{}:{}", *position.source, position.line);
}

bool Printer::Wanted(const ConfigKey& key) const {
  const bool short_listen = config_.listen.size() == 1 && !config_.listen[0].is_unix && *config_.listen[0].option() == '\0';
  const bool is_short = key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort;
  const bool is_listen = is_short || key.type == KeyType::kListenList;
  if (!options_.example && is_listen && is_short != short_listen) return false;
  if (!options_.only_given || options_.sources == nullptr) return true;
  if (is_listen && options_.sources->Find("listen") != nullptr) {
    return key.type != KeyType::kListenAddress || config_.listen[0].address != "0.0.0.0";
  }
  return options_.sources->FindPath(key.path) != nullptr;
}

bool Printer::CommentedOut(const ConfigKey& key, const KeyValue& value) const {
  if (value.shape == Shape::kHidden && !options_.secrets) return true;
  if (options_.example) return !key.active;
  // Given, the port would be one that was asked for.
  return key.path == "admin.listen_port" && !config_.admin.port_given;
}

void Printer::EnterSection(std::string_view section) {
  if (section == section_) return;
  // A section whose own keys are all left out still stands around its inner one.
  const std::string_view outer = section.substr(0, section.rfind('.'));
  if (yaml() && outer != section && section_ != outer) EnterSection(outer);
  out_ += held_map_;
  held_map_.clear();
  section_ = std::string(section);
  if (!yaml()) {
    Line(fmt::format("\n[{}]", section));
    return;
  }
  const size_t dot = section.rfind('.');
  depth_ = static_cast<size_t>(std::ranges::count(section, '.'));
  if (dot == std::string_view::npos) out_ += '\n';
  Line(fmt::format("{}{}:", Indent(), section.substr(dot == std::string_view::npos ? 0 : dot + 1)));
  ++depth_;
}

void Printer::PrintMeaning(const ConfigKey& key) {
  if (!options_.meanings) return;
  std::string extra = DescribeType(key);
  if (!key.reloadable) extra += "; a change needs a restart";
  const std::string line = fmt::format("{}# {} ({})", Indent(), key.meaning, extra);
  if (line.size() <= 110) return Line(line);
  Line(fmt::format("{}# {}", Indent(), key.meaning));
  Line(fmt::format("{}#   ({})", Indent(), extra));
}

void Printer::PrintKey(const ConfigKey& key) {
  if (!Wanted(key)) return;
  const size_t dot = key.path.rfind('.');
  if (dot != std::string_view::npos) EnterSection(key.path.substr(0, dot));
  const std::string_view name = dot == std::string_view::npos ? key.path : key.path.substr(dot + 1);
  if (key.type == KeyType::kBackendList) return PrintBackends();
  const bool is_short = key.type == KeyType::kListenAddress || key.type == KeyType::kListenPort;
  const KeyValue value =
      is_short && options_.example ? DefaultKeyValue(key) : GetKeyValue(key, config_);
  PrintMeaning(key);
  const bool out_of_force = CommentedOut(key, value);
  const std::string_view comment = out_of_force ? "# " : "";
  if (value.shape == Shape::kHidden && !options_.secrets) {
    Line(fmt::format("{}# {}{}", Indent(), Assign(name, "(hidden)"), SourceOf(key.path)));
  } else if (value.shape == Shape::kMap && ini()) {
    if (value.entries.empty()) return;
    held_map_ += fmt::format("\n{}[{}]\n", comment, key.path);
    for (const auto& [header, content] : value.entries) {
      held_map_ += fmt::format("{}{} = {}\n", comment, header, Written(content));
    }
  } else {
    Line(fmt::format("{}{}{}{}", Indent(), comment, Assign(name, ValueText(key, value)),
                     SourceOf(key.path)));
  }
}

void Printer::PrintOneBackend(const BackendConfig& backend, size_t index) {
  std::vector<std::pair<std::string_view, std::string>> pairs;
  pairs.emplace_back("host", Written(backend.is_unix ? backend.AddressText() : backend.host));
  if (!backend.is_unix) pairs.emplace_back("port", std::to_string(backend.port));
  if (!options_.only_given || backend.weight != config_.default_weight)
    pairs.emplace_back("weight", std::to_string(backend.weight));
  if (backend.max_connections != 0)
    pairs.emplace_back("max_connections", std::to_string(backend.max_connections));
  if (backend.backup) pairs.emplace_back("backup", "true");
  if (backend.h2) pairs.emplace_back("protocol", Written("h2"));
  if (backend.name != backend.AddressText()) pairs.emplace_back("name", Written(backend.name));
  if (!yaml()) {
    Line(ini() ? "\n[backend]" : "\n[[backends]]");
    for (const auto& [name, value] : pairs) Line(Assign(name, value));
    return;
  }
  std::string text;
  for (const auto& [name, value] : pairs) text += (text.empty() ? "" : ", ") + Assign(name, value);
  std::string source;
  if (options_.sources != nullptr) {
    const ConfigNode* list = options_.sources->Find("backends");
    const bool listed = list != nullptr && list->IsSequence() && index < list->items.size();
    source = listed ? "  # " + PlaceOf(list->items[index].position) : SourceOf("backends");
  }
  Line(fmt::format("  - {{ {} }}{}", text, source));
}

void Printer::PrintBackends() {
  out_ += '\n';
  if (options_.meanings) {
    Line("# The servers behind the balancer. Of each:");
    for (const BackendKey& key : BackendKeys()) {
      Line(fmt::format("#   {:<16} {} ({})", key.name, key.meaning, key.type));
    }
    if (yaml())
      Line("# or short, as text: - \"10.0.0.10:8080\" or - \"10.0.0.10:8080:50\" with a weight");
  }
  if (yaml()) Line("backends:");
  for (size_t i = 0; i < config_.backends.size(); ++i) PrintOneBackend(config_.backends[i], i);
}

std::string Printer::Run() {
  for (const ConfigKey& key : ConfigKeys()) PrintKey(key);
  out_ += held_map_;
  return std::move(out_);
}

constexpr std::string_view kExampleHead =
    "# UltraBalancer's configuration, complete: every key with its meaning, its values and its "
    "default.\n"
    "# Check a change with: ultrabalancer validate -f FILE. Put it in force with: ultrabalancer -c "
    "FILE -s reload.\n"
    "# The environment (ULTRA_LISTEN_PORT=...) and the command line come after this file. Sizes "
    "take k, m and g;\n"
    "# durations are milliseconds, or a number with ms, s, m or h.\n\n";

}  // namespace

std::string PrintConfig(const Config& config, const PrintOptions& options) {
  return Printer(config, options).Run();
}

Config ExampleConfig() {
  Config config;
  config.listen = {{"0.0.0.0", 80, false, "0.0.0.0:80", false},
                   {"::", 80, false, "[::]:80", false},
                   {"0.0.0.0", 443, false, "0.0.0.0:443", true},
                   {"/run/ultrabalancer.sock", 0, true, "unix:/run/ultrabalancer.sock", false}};
  config.tls.certificates = {{"/etc/ssl/example.org.pem", "/etc/ssl/private/example.org.key", "", "", "", ""}};
  config.tls.client_ca = "/etc/ssl/clients.pem";
  config.backend_tls.ca_file = "/etc/ssl/backends.pem";
  config.backend_tls.server_name = "backend.internal";
  config.backend_tls.own.certificate = "/etc/ssl/ultrabalancer.pem";
  config.backend_tls.own.key = "/etc/ssl/private/ultrabalancer.key";
  config.tls.ocsp_staple_file = "/etc/ssl/example.org.ocsp";
  config.user = "www-data";
  config.group = "www-data";
  config.pid_file = "/run/ultrabalancer.pid";
  config.backends.resize(2);
  config.backends[0] = {"10.0.0.10", 8080, false, 100, 1000, false, "app1"};
  config.backends[1] = {"10.0.0.11", 8080, false, 100, 1000, false, "app2"};
  config.health_check.type = "http";
  config.health_check.path = "/health";
  config.health_check.expected_body = "ok";
  config.health_check.headers = {{"X-Health-Check", "true"}};
  config.admin.api_key = "file:/etc/ultrabalancer/api_key";
  config.admin.state_file = "/var/lib/ultrabalancer/state";
  return config;
}

std::string PrintExample(ConfigFormat format) {
  PrintOptions options;
  options.format = format;
  options.meanings = true;
  options.example = true;
  options.secrets = true;
  return std::string(kExampleHead) + PrintConfig(ExampleConfig(), options);
}

}  // namespace ub
