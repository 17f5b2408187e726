#include "core/config_bind_lists.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <utility>

#include "core/config_bind_value.h"
#include "core/config_keys.h"
#include "core/config_text.h"

namespace ub {
namespace {

// Reports the second of two equal texts.
class Duplicates {
 public:
  bool Check(std::string_view path, const std::string& text, const SourcePosition& position,
             ConfigProblems* problems) {
    const auto [first, is_new] = seen_.emplace(text, position);
    if (is_new) return true;
    const std::string where =
        first->second.line == 0 ? "" : fmt::format(" (first at {})", first->second.ToString());
    problems->push_back(
        {position, fmt::format("{}: {} is given twice{}", path, Printable(text), where)});
    return false;
  }

 private:
  std::unordered_map<std::string, SourcePosition> seen_;
};

class BackendBinder {
 public:
  BackendBinder(Config* config, ConfigProblems* problems) : config_(config), problems_(problems) {}

  void BindList(const ConfigNode& node);

 private:
  void BindText(std::string_view text, const SourcePosition& position);
  void BindMapping(const ConfigNode& node);
  // Reads one entry of a backend's mapping. False: reported.
  bool BindEntry(const ConfigEntry& entry, BackendConfig* backend, std::optional<uint16_t>* port);
  bool BindHost(const ConfigNode& node, BackendConfig* backend);
  bool BindProtocol(std::string_view path, const ConfigNode& node, BackendConfig* backend);
  void Add(BackendConfig backend, const SourcePosition& position);
  void Problem(const SourcePosition& position, std::string text) {
    problems_->push_back({position, "backends: " + std::move(text)});
  }

  Config* config_;
  ConfigProblems* problems_;
  Duplicates duplicates_;
};

void BackendBinder::Add(BackendConfig backend, const SourcePosition& position) {
  if (backend.name.empty()) backend.name = backend.AddressText();
  if (!duplicates_.Check("backends", backend.AddressText(), position, problems_)) return;
  config_->backends.push_back(std::move(backend));
}

void BackendBinder::BindText(std::string_view text, const SourcePosition& position) {
  Result<Endpoint> endpoint = ParseEndpoint(text, /*allow_weight=*/true);
  if (!endpoint) {
    Problem(position, endpoint.error().detail());
    return;
  }
  BackendConfig backend;
  backend.host = std::move(endpoint->host);
  backend.port = endpoint->port;
  backend.is_unix = endpoint->is_unix;
  backend.weight = endpoint->weight.value_or(config_->default_weight);
  Add(std::move(backend), position);
}

bool BackendBinder::BindHost(const ConfigNode& node, BackendConfig* backend) {
  std::string text;
  if (!ub::BindText("backends: host", node, &text, problems_)) return false;
  if (text.starts_with("unix:")) {
    backend->is_unix = true;
    backend->host = text.substr(5);
    const std::string wrong = CheckUnixPath(backend->host);
    if (!wrong.empty()) Problem(node.position, fmt::format("\"{}\" {}", Printable(text), wrong));
    return wrong.empty();
  }
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  if (IsIpAddress(text)) {
    backend->host = CanonicalIp(text);
    return true;
  }
  if (!IsHostName(text)) {
    const std::string_view hint =
        text.find("://") != std::string::npos ? " (write the host alone: no http://, no path)"
        : text.find(':') != std::string::npos ? " (the port has a key of its own: port)"
                                              : "";
    Problem(node.position,
            fmt::format("\"{}\" is no address and no name{}", Printable(text), hint));
    return false;
  }
  backend->host = std::move(text);
  return true;
}

bool BackendBinder::BindProtocol(std::string_view path, const ConfigNode& node, BackendConfig* backend) {
  std::string text;
  if (!ub::BindText(path, node, &text, problems_)) return false;
  backend->h2 = text == "h2";
  if (backend->h2 || text == "http1") return true;
  Problem(node.position, fmt::format("protocol: \"{}\" is not known (http1 or h2)", Printable(text)));
  return false;
}

bool BackendBinder::BindEntry(const ConfigEntry& entry, BackendConfig* backend,
                              std::optional<uint16_t>* port) {
  const std::string path = "backends: " + Printable(entry.key);
  uint64_t number = 0;
  if (entry.key == "host") return BindHost(entry.value, backend);
  if (entry.key == "port") {
    *port = 0;  // given, if wrong
    if (!BindNumber(path, entry.value, 1, 65535, false, &number, problems_)) return false;
    *port = static_cast<uint16_t>(number);
    return true;
  }
  if (entry.key == "weight") {
    if (!BindNumber(path, entry.value, 1, 65535, false, &number, problems_)) return false;
    backend->weight = static_cast<uint32_t>(number);
    return true;
  }
  if (entry.key == "max_connections") {
    if (!BindNumber(path, entry.value, 0, 10000000, false, &number, problems_)) return false;
    backend->max_connections = static_cast<uint32_t>(number);
    return true;
  }
  if (entry.key == "backup") return BindBool(path, entry.value, &backend->backup, problems_);
  if (entry.key == "protocol") return BindProtocol(path, entry.value, backend);
  if (entry.key == "name") return ub::BindText(path, entry.value, &backend->name, problems_);
  std::vector<std::string_view> names;
  for (const BackendKey& key : BackendKeys()) names.push_back(key.name);
  const std::string_view nearest = NearestWord(entry.key, names);
  Problem(entry.position, nearest.empty()
                              ? fmt::format("unknown key \"{}\" (one of {})", Printable(entry.key),
                                            fmt::join(names, ", "))
                              : fmt::format("unknown key \"{}\" (did you mean \"{}\"?)",
                                            Printable(entry.key), nearest));
  return false;
}

void BackendBinder::BindMapping(const ConfigNode& node) {
  BackendConfig backend;
  backend.weight = config_->default_weight;
  std::optional<uint16_t> port;
  bool good = true;
  for (const ConfigEntry& entry : node.entries) good = BindEntry(entry, &backend, &port) && good;
  if (node.Find("host") == nullptr) {
    Problem(node.position, "host is missing (a name, an address, or unix:/path)");
    return;
  }
  if (backend.is_unix && port) {
    Problem(node.Find("port")->position, "a unix socket has no port (remove it)");
    return;
  }
  if (!backend.is_unix && !port) {
    // "app:80" as a host has been reported with the way to write it.
    if (good) Problem(node.position, "port is missing");
    return;
  }
  backend.port = port.value_or(0);
  if (good) Add(std::move(backend), node.position);
}

void BackendBinder::BindList(const ConfigNode& node) {
  if (node.IsNull()) return;
  if (node.IsScalar() && node.untyped) {
    for (const std::string_view part : SplitTrimmed(node.text, ',')) BindText(part, node.position);
    return;
  }
  if (!node.IsSequence()) {
    Problem(node.position,
            fmt::format("expected a list, found {} (\"- HOST:PORT\" lines in YAML, [[backends]] in "
                        "TOML)",
                        node.KindName()));
    return;
  }
  config_->backends.reserve(node.items.size());
  for (const ConfigNode& item : node.items) {
    if (item.IsScalar()) {
      BindText(item.text, item.position);
    } else if (item.IsMapping()) {
      BindMapping(item);
    } else {
      Problem(item.position,
              fmt::format("expected a backend, found {} (host and port, or HOST:PORT)",
                          item.KindName()));
    }
  }
}

void SetListenText(ListenConfig* listen) {
  if (listen->is_unix) {
    listen->text = "unix:" + listen->address;
  } else if (IsIpv6(listen->address)) {
    listen->text = fmt::format("[{}]:{}", listen->address, listen->port);
  } else {
    listen->text = fmt::format("{}:{}", listen->address, listen->port);
  }
}

void BindListenList(const ConfigNode& node, Config* config, ConfigProblems* problems) {
  Duplicates duplicates;
  for (const ListItem& item : ListItems("listen", node, "a list of addresses", problems)) {
    std::string text = item.text.starts_with("*:") ? "0.0.0.0" + item.text.substr(1) : item.text;
    bool tls = false, h2c = false;
    if (const size_t blank = text.find(' '); blank != std::string::npos && !text.starts_with("unix:")) {
      const std::string option(TrimSpaces(std::string_view(text).substr(blank)));
      tls = option == "tls";
      h2c = option == "h2c";
      if (!tls && !h2c) {
        problems->push_back({item.position, fmt::format("listen: unknown word \"{}\" behind the address (tls and "
                                                        "h2c are possible)", Printable(option))});
        continue;
      }
      text.resize(blank);
    } else if (text.ends_with(" tls") || text.ends_with(" h2c")) {  // other blanks may be part of a path
      tls = text.ends_with(" tls");
      h2c = !tls;
      text.resize(text.size() - 4);
    }
    Result<Endpoint> endpoint = ParseEndpoint(text, /*allow_weight=*/false);
    if (!endpoint) {
      problems->push_back({item.position, "listen: " + endpoint.error().detail()});
      continue;
    }
    if (!endpoint->is_unix && !IsIpAddress(endpoint->host)) {
      problems->push_back(
          {item.position, fmt::format("listen: \"{}\" is not an IP address (127.0.0.1:80, [::]:80 "
                                      "or unix:/path)",
                                      Printable(endpoint->host))});
      continue;
    }
    ListenConfig listen{std::move(endpoint->host), endpoint->port, endpoint->is_unix, {}, tls, h2c};
    SetListenText(&listen);
    if (duplicates.Check("listen", listen.text, item.position, problems))
      config->listen.push_back(std::move(listen));
  }
  if (node.IsSequence() && node.items.empty()) {
    problems->push_back(
        {node.position, "listen: the list is empty (remove the key for 0.0.0.0:8080)"});
  }
}

}  // namespace

void BindBackends(const ConfigNode& node, Config* config, ConfigProblems* problems) {
  config->backends.clear();
  BackendBinder(config, problems).BindList(node);
}

void BindListen(const ConfigNode& root, Config* config, ConfigProblems* problems) {
  config->listen.clear();
  const ConfigNode* list = root.Find("listen");
  const ConfigNode* address = root.Find("listen_address");
  const ConfigNode* port = root.Find("listen_port");
  if (list != nullptr) {
    const ConfigNode* other = address != nullptr ? address : port;
    if (other != nullptr) {
      problems->push_back(
          {other->position, fmt::format("{}: `listen` is given too (keep one of the two)",
                                        address != nullptr ? "listen_address" : "listen_port")});
    }
    BindListenList(*list, config, problems);
    return;
  }
  ListenConfig listen{"0.0.0.0", 8080, false, {}, false};
  if (address != nullptr) {
    std::string text;
    if (BindText("listen_address", *address, &text, problems)) {
      if (text == "*") text = "0.0.0.0";
      if (text.size() > 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
      if (IsIpAddress(text)) {
        listen.address = CanonicalIp(text);
      } else {
        const std::string_view hint = text.starts_with("unix:") ? "give it in the list `listen`"
                                      : text.find(':') != std::string::npos
                                          ? "the port has a key of its own: listen_port"
                                          : "0.0.0.0 for every address, 127.0.0.1 for this "
                                            "machine";
        problems->push_back(
            {address->position, fmt::format("listen_address: \"{}\" is not an IP address ({})",
                                            Printable(text), hint)});
      }
    }
  }
  if (port != nullptr) {
    uint64_t number = 0;
    if (BindNumber("listen_port", *port, 1, 65535, false, &number, problems)) {
      listen.port = static_cast<uint16_t>(number);
    }
  }
  SetListenText(&listen);
  config->listen.push_back(std::move(listen));
}

}  // namespace ub
