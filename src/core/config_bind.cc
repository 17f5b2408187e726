#include "core/config_bind.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config_bind_lists.h"
#include "core/config_bind_tls.h"
#include "core/config_bind_value.h"
#include "core/config_keys.h"
#include "core/config_text.h"

namespace ub {
namespace {

// Words that people bring along from other servers, and what they are called here.
struct ForeignWord {
  std::string_view word, hint;
};
constexpr ForeignWord kForeignWords[] = {{"upstream", "the list is called backends"},
                                         {"upstreams", "the list is called backends"},
                                         {"servers", "the list is called backends"},
                                         {"server", "the list is called backends"},
                                         {"bind", "it is called listen"},
                                         {"balance", "it is called algorithm"},
                                         {"port", "it is called listen_port"},
                                         {"host", "it is called listen_address"},
                                         {"address", "it is called listen_address"},
                                         {"threads", "it is called workers"},
                                         {"worker_processes", "it is called workers"},
                                         {"maxconn", "it is called max_connections"},
                                         {"worker_connections", "it is called max_connections"}};

class Binder {
 public:
  Binder(const ConfigNode& root, const BindOptions& options) : root_(root), options_(options) {}

  BindResult Run() {
    Walk(root_, "");
    BindLists();
    CheckTogether();
    SortProblems(&result_.problems);
    return std::move(result_);
  }

 private:
  void Problem(const SourcePosition& position, std::string text) {
    result_.problems.push_back({position, std::move(text)});
  }
  // The place of a key's value; the top of the configuration where it has none.
  const SourcePosition& PositionOf(std::string_view path) const {
    const ConfigNode* node = root_.FindPath(path);
    return node != nullptr ? node->position : root_.position;
  }
  void Walk(const ConfigNode& mapping, const std::string& section);
  void UnknownKey(const ConfigEntry& entry, const std::string& section);
  void BindLists();
  void CheckTogether();
  void CheckHealth();
  void CheckAdmin();
  void CheckProxyProtocol();

  const ConfigNode& root_;
  const BindOptions& options_;
  BindResult result_;
};

void Binder::UnknownKey(const ConfigEntry& entry, const std::string& section) {
  const std::string path = section.empty() ? entry.key : section + "." + entry.key;
  const std::string prefix = section.empty() ? "" : section + ": ";
  std::string hint = "see `ultrabalancer example` for every key";
  const std::string_view nearest = NearestWord(entry.key, ConfigChildren(section));
  if (FindConfigKey(path) != nullptr || IsConfigSection(path)) {  // its name has a dot
    const size_t dot = path.rfind('.');
    hint = fmt::format("put \"{}\" into the section \"{}\"", path.substr(dot + 1),
                       path.substr(0, dot));
  } else if (!nearest.empty()) {
    hint = fmt::format("did you mean \"{}\"?", nearest);
  } else {
    for (const ConfigKey& key : ConfigKeys()) {
      const size_t dot = key.path.rfind('.');
      if (dot != std::string_view::npos && key.path.substr(dot + 1) == entry.key) {
        hint = fmt::format("did you mean \"{}\"?", key.path);
        break;
      }
    }
    for (const ForeignWord& foreign : kForeignWords) {
      if (section.empty() && foreign.word == entry.key) hint = foreign.hint;
    }
  }
  Problem(entry.position,
          fmt::format("{}unknown {} \"{}\" ({})", prefix,
                      entry.value.IsMapping() ? "section" : "key", Printable(entry.key), hint));
}

void Binder::Walk(const ConfigNode& mapping, const std::string& section) {
  for (const ConfigEntry& entry : mapping.entries) {
    const std::string path = section.empty() ? entry.key : section + "." + entry.key;
    if (entry.key.find('.') != std::string::npos) {
      // Read, it would stand beside its section and not be merged with what other sources set
      // there.
      UnknownKey(entry, section);
    } else if (const ConfigKey* key = FindConfigKey(path)) {
      BindValue(*key, entry.value, options_, &result_.config, &result_.problems);
    } else if (!IsConfigSection(path)) {
      UnknownKey(entry, section);
    } else if (entry.value.IsMapping()) {
      Walk(entry.value, path);
    } else if (!entry.value.IsNull()) {  // an empty section keeps every default
      Problem(entry.value.position,
              fmt::format("{}: expected a section of keys, found {} (such as \"{}:\")", path,
                          entry.value.KindName(), ConfigChildren(path).front()));
    }
  }
}

void Binder::BindLists() {
  Config& config = result_.config;
  BindListen(root_, &config, &result_.problems);
  BindCertificates(root_, options_, &config.tls, &result_.problems);
  const ConfigNode* backends = root_.Find("backends");
  const size_t before = result_.problems.size();
  if (backends != nullptr) BindBackends(*backends, &config, &result_.problems);
  if (config.backends.empty() && options_.complete && result_.problems.size() == before) {
    Problem(PositionOf("backends"),
            "backends: there are none (list at least one, or give -b HOST:PORT)");
  }
  if (config.backends.size() > config.shared_memory.max_backends) {
    Problem(PositionOf("backends"),
            fmt::format("backends: {} are more than shared_memory.max_backends, {} (raise it)",
                        config.backends.size(), config.shared_memory.max_backends));
  }
  if (!config.backends.empty() &&
      std::ranges::all_of(config.backends,
                          [](const BackendConfig& backend) { return backend.backup; })) {
    Problem(PositionOf("backends"),
            "backends: every one is a backup (leave at least one without `backup`)");
  }
}

void Binder::CheckHealth() {
  HealthCheckConfig& health = result_.config.health_check;
  const ConfigNode* type = root_.FindPath("health_check.type");
  if (!health.path.empty()) {
    if (type != nullptr && !health.http()) {
      Problem(PositionOf("health_check.path"),
              fmt::format("health_check.path: means nothing with type {} (remove one of the two)", health.type));
    } else {
      health.type = "http";
    }
    const bool clean =
        health.path[0] == '/' && health.path.find_first_of(" \t#") == std::string::npos;
    if (!clean) {
      Problem(PositionOf("health_check.path"),
              fmt::format("health_check.path: \"{}\" is not a path (it begins with \"/\" and has "
                          "no blank or #)",
                          Printable(health.path)));
    }
  } else if (health.http()) {
    health.path = "/";
  }
  if (!health.expected_body.empty() && health.method != "GET") {
    Problem(PositionOf("health_check.expected_body"),
            fmt::format(
                "health_check.expected_body: a {} answer has no body to look at (set method: GET)",
                health.method));
  }
}

// Its connections come from this machine, what they carry does not.
bool InFrontIsAProxy(const Config& config) {
  return config.proxy_protocol.accept || !config.forwarded.trust.empty();
}

void Binder::CheckAdmin() {
  AdminConfig& admin = result_.config.admin;
  admin.port_given = root_.FindPath("admin.listen_port") != nullptr;
  if (!admin.enabled) return;
  const bool is_unix = admin.listen_address.starts_with("unix:");
  // One that could not be read has been reported.
  const ConfigNode* key = root_.FindPath("admin.api_key");
  const bool no_key = key == nullptr || (key->IsScalar() && key->text.empty());
  if (no_key && !is_unix && !IsLoopback(admin.listen_address)) {
    Problem(PositionOf("admin.listen_address"),
            fmt::format("admin.listen_address: {} can be reached from outside and there is no key "
                        "(set admin.api_key, "
                        "or listen on 127.0.0.1)",
                        admin.listen_address));
  }
  if (admin.on_main_port && no_key && InFrontIsAProxy(result_.config)) {
    Problem(PositionOf("admin.on_main_port"),
            "admin.on_main_port: what a proxy in front passes on comes from outside and there is no key (set admin.api_key)");
  } else if (admin.on_main_port && no_key) {
    for (const ListenConfig& listen : result_.config.listen) {
      if (listen.is_unix || IsLoopback(listen.address)) continue;
      Problem(PositionOf("admin.on_main_port"),
              fmt::format("admin.on_main_port: {} can be reached from outside and there is no key (set "
                          "admin.api_key, or listen on 127.0.0.1)",
                          listen.text));
      break;
    }
  }
  if (!admin.port_given || is_unix) return;
  for (const ListenConfig& listen : result_.config.listen) {
    const bool wildcard = listen.address == "0.0.0.0" || listen.address == "::" ||
                          admin.listen_address == "0.0.0.0" || admin.listen_address == "::";
    if (!listen.is_unix && listen.port == admin.listen_port &&
        (wildcard || listen.address == admin.listen_address)) {
      Problem(PositionOf("admin.listen_port"),
              fmt::format("admin.listen_port: {} is the port of {} too (choose another)",
                          admin.listen_port, listen.text));
    }
  }
}

void Binder::CheckProxyProtocol() {
  const ProxyProtocolConfig& proxy = result_.config.proxy_protocol;
  if (!proxy.accept || !proxy.trust.empty()) return;
  // Networks that could not be read have been reported.
  const ConfigNode* trust = root_.FindPath("proxy_protocol.trust");
  if (trust != nullptr && (!trust->items.empty() || !trust->text.empty())) return;
  Problem(PositionOf("proxy_protocol.accept"),
          "proxy_protocol.accept: nobody is trusted to send one (set proxy_protocol.trust to the "
          "addresses of the proxies in front)");
}

void Binder::CheckTogether() {
  CheckHealth();
  CheckAdmin();
  CheckProxyProtocol();
  CheckTls(root_, &result_.config, &result_.problems);
}

}  // namespace

BindResult BindConfig(const ConfigNode& root, const BindOptions& options) {
  return Binder(root, options).Run();
}

}  // namespace ub
