#include "cli/import_nginx.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;

// One proxy_pass or grpc_pass: in which blocks it stands, and where it leads.
struct ProxyUse {
  const Directive* server = nullptr;
  std::vector<const Directive*> locations;  // from the outermost on
  const Directive* pass = nullptr;
  std::string scheme, target, uri;  // "http", "app" or "10.0.0.1:80" or "unix:/path", "/" or ""
  bool grpc = false;

  bool IsWhole() const { return locations.size() == 1 && locations[0]->words.back() == "/"; }
};

// The words of a location behind its name: "/api", "= /x", "~ \.php$".
std::string PathOf(const Directive& location) {
  const std::string text = location.Text();
  return ImportText(text.substr(std::min(text.size(), location.name().size() + 1)));
}

ProxyUse UseOf(const Directive& pass) {
  ProxyUse use;
  use.pass = &pass;
  std::string_view rest = pass.size() > 0 ? std::string_view(pass.arg(0)) : std::string_view();
  use.grpc = pass.name() == "grpc_pass";
  const size_t scheme = rest.find("://");
  if (scheme == std::string_view::npos && !use.grpc) return use;
  if (scheme != std::string_view::npos) {
    use.scheme = ToLowerAscii(rest.substr(0, scheme));
    rest.remove_prefix(scheme + 3);
  }
  if (use.grpc) use.scheme = use.scheme == "grpcs" ? "https" : "http";
  if (rest.starts_with("unix:")) {
    const size_t colon = std::min(rest.find(':', 5), rest.size());
    use.target = std::string(rest.substr(0, colon));
    use.uri = std::string(rest.substr(std::min(colon + 1, rest.size())));
    return use;
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  use.target = std::string(rest.substr(0, slash));
  use.uri = std::string(rest.substr(slash));
  return use;
}

class Importer {
 public:
  Importer(const ImportOptions& options, const std::vector<Directive>& tree, ImportDraft* draft)
      : import_{options, draft}, draft_(*draft), tree_(tree) {}
  std::string Run();

 private:
  void Collect(const std::vector<Directive>& block);
  void CollectUses(const Directive& server, const Directive& block,
                   std::vector<const Directive*>* locations);
  const Directive* UpstreamNamed(const std::string& name) const;
  // The pool's name; empty: there is none, which is a fault.
  std::string Choose();
  std::string ChooseByUse() const;
  void ImportPool(const std::string& pool);
  void ImportUse(const ProxyUse& use);
  void ImportServer(const Directive& server);
  void ImportListeners(const Directive& server);
  void ImportCertificates();
  void ImportRedirects();
  void ImportBlock(const std::vector<Directive>& block);
  void RemarkOthers(const std::string& pool);
  void RemarkLocations(const Directive& server);
  void RemarkLocation(const Directive& location);
  void TrustPeers();
  void Defaults();
  bool InPool(const Directive* server) const {
    return std::ranges::find(servers_, server) != servers_.end();
  }

  NginxImport import_;
  ImportDraft& draft_;
  const std::vector<Directive>& tree_;
  std::vector<const Directive*> outer_;      // directives of the top level, events and http
  std::vector<const Directive*> upstreams_;  // in order
  std::vector<const Directive*> all_servers_;
  std::vector<ProxyUse> uses_;
  std::vector<const Directive*> servers_;  // that proxy to the pool
  const Directive* https_ = nullptr;       // a proxy_pass to the pool with TLS, and one without
  const Directive* clear_ = nullptr;
  bool proxied_ = false;
};

void Importer::Collect(const std::vector<Directive>& block) {
  for (const Directive& directive : block) {
    const std::string& name = directive.name();
    CollectNginxZone(&import_, directive);
    if ((name == "http" || name == "events") && directive.is_block) {
      Collect(directive.block);
    } else if (name == "upstream" && directive.is_block && directive.size() == 1) {
      upstreams_.push_back(&directive);
    } else if (name == "server" && directive.is_block) {
      all_servers_.push_back(&directive);
      CollectNginxListens(&import_, directive);
      std::vector<const Directive*> locations;
      CollectUses(directive, directive, &locations);
    } else if (name == "location" && directive.is_block) {
      // A file that is included into a server.
      std::vector<const Directive*> locations{&directive};
      const size_t before = uses_.size();
      CollectUses(directive, directive, &locations);
      if (uses_.size() == before) RemarkLocation(directive);
    } else if (name == "stream" || name == "mail") {
      import_.Remark({directive.at, {name}, true, {}}, "has no counterpart: only HTTP is balanced");
    } else if (name != "load_module") {
      outer_.push_back(&directive);
    }
  }
}

void Importer::CollectUses(const Directive& server, const Directive& block,
                           std::vector<const Directive*>* locations) {
  for (const Directive& directive : block.block) {
    if (NginxRuleName(directive) == "proxy_pass") {
      ProxyUse use = UseOf(directive);
      if (use.target.empty() || use.target.find('$') != std::string::npos) {
        import_.Remark(directive, "is not followed: it has no fixed address");
        continue;
      }
      use.server = &server;
      use.locations = *locations;
      uses_.push_back(std::move(use));
    } else if (directive.name() == "location" && directive.is_block) {
      locations->push_back(&directive);
      CollectUses(server, directive, locations);
      locations->pop_back();
    }
  }
}

const Directive* Importer::UpstreamNamed(const std::string& name) const {
  const auto found = std::ranges::find_if(
      upstreams_, [&](const Directive* upstream) { return upstream->arg(0) == name; });
  return found == upstreams_.end() ? nullptr : *found;
}

// Where `location /` of the first server that has one leads; else the first proxy_pass.
std::string Importer::ChooseByUse() const {
  const auto whole = std::ranges::find_if(uses_, [](const ProxyUse& use) { return use.IsWhole(); });
  if (whole != uses_.end()) return whole->target;
  return uses_.empty() ? "" : uses_[0].target;
}

std::string Importer::Choose() {
  const SourcePosition file = MakePosition(import_.options.name);
  const std::string& wanted = import_.options.pool;
  if (!wanted.empty()) {
    const bool used = std::ranges::any_of(uses_, [&](const auto& u) { return u.target == wanted; });
    if (used || UpstreamNamed(wanted) != nullptr) return wanted;
    std::set<std::string> names;
    for (const Directive* upstream : upstreams_) names.insert(ImportText(upstream->arg(0)));
    for (const ProxyUse& use : uses_) names.insert(ImportText(use.target));
    draft_.Fault(file, fmt::format("there is no upstream \"{}\" (there are: {})",
                                   ImportText(wanted), fmt::join(names, ", ")));
    return {};
  }
  if (const std::string chosen = ChooseByUse(); !chosen.empty()) return chosen;
  if (!upstreams_.empty()) return upstreams_[0]->arg(0);
  draft_.Fault(file, "there is nothing to carry over: no upstream and no proxy_pass to an address");
  return {};
}

void Importer::ImportPool(const std::string& pool) {
  if (const Directive* upstream = UpstreamNamed(pool)) {
    ImportNginxUpstream(&import_, *upstream);
    return;
  }
  // An address of its own is an upstream of one server.
  for (const ProxyUse& use : uses_) {
    if (use.target != pool) continue;
    Directive upstream{use.pass->at, {"upstream", pool}, true, {}};
    const bool https = use.scheme == "https" && pool.find(':') == std::string::npos;
    upstream.block.push_back({use.pass->at, {"server", https ? pool + ":443" : pool}, false, {}});
    ImportNginxUpstream(&import_, upstream);
    return;
  }
}

void Importer::ImportUse(const ProxyUse& use) {
  proxied_ = true;
  if (use.scheme == "https") {
    if (https_ == nullptr) https_ = use.pass;
  } else if (clear_ == nullptr) {
    clear_ = use.pass;
  }
  const bool same = use.uri.empty() || (use.uri == "/" && use.IsWhole());
  if (!same)
    import_.Remark(*use.pass, "paths are not changed: requests keep the one they came with");
  for (size_t i = use.locations.size(); i-- > 0;) {
    draft_.set_quiet(i + 1 != use.locations.size());
    ImportBlock(use.locations[i]->block);
  }
  draft_.set_quiet(false);
}

void Importer::ImportBlock(const std::vector<Directive>& block) {
  for (const Directive& directive : block) {
    const std::string& name = directive.name();
    if (name == "location" || name == "listen" || name == "server" || name == "upstream") continue;
    ImportNginxDirective(&import_, directive);
  }
}

void Importer::ImportListeners(const Directive& server) {
  const Directive* ssl = server.Find("ssl");
  const bool tls = ssl != nullptr && ssl->size() > 0 && ssl->arg(0) == "on";
  bool listens = false;
  for (const Directive& directive : server.block) {
    if (directive.name() != "listen") continue;
    ImportNginxListen(&import_, directive, tls);
    listens = true;
  }
  if (!listens && server.name() == "server")
    ImportNginxListen(&import_, {server.at, {"listen", "80"}, false, {}}, tls);
}

// The first certificate is for clients that ask for no known name: that of a default_server, where
// there is one.
void Importer::ImportCertificates() {
  for (const bool preferred : {true, false}) {
    for (const Directive* server : servers_) {
      const bool is_default =
          std::ranges::any_of(server->block, [](const Directive& directive) {
            return directive.name() == "listen" &&
                   std::ranges::find(directive.words, "default_server") != directive.words.end();
          });
      if (is_default == preferred) ImportNginxCertificates(&import_, *server, outer_);
    }
  }
}

// A server that only redirects to https is tls.redirect_http, unless there are requests without TLS
// that are to be balanced.
void Importer::ImportRedirects() {
  if (!draft_.ServesTls() || draft_.Has("listen")) return;
  std::vector<const Directive*> redirects;
  for (const Directive* server : all_servers_) {
    if (!InPool(server) && NginxRedirectsToHttps(*server)) redirects.push_back(server);
  }
  for (const Directive* server : redirects) {
    ImportListeners(*server);
    draft_.SetBool("tls.redirect_http", true, server->at);
    servers_.push_back(server);
  }
}

void Importer::ImportServer(const Directive& server) {
  ImportListeners(server);
  RemarkLocations(server);
  if (server.name() == "server") ImportBlock(server.block);
}

// A location that does not proxy.
void Importer::RemarkLocation(const Directive& location) {
  draft_.Remark(location.at,
                fmt::format("location {}: paths are not told apart, its requests go to the "
                            "backends too",
                            PathOf(location)));
}

// What the other locations of a server that is carried over did.
void Importer::RemarkLocations(const Directive& server) {
  bool whole = server.name() != "server";
  for (const Directive& location : server.block) {
    if (NginxRuleName(location) == "proxy_pass") whole = true;
    if (location.name() != "location" || location.size() == 0) continue;
    whole = whole || location.words.back() == "/";
    const bool proxies = std::ranges::any_of(uses_, [&](const ProxyUse& use) {
      return !use.locations.empty() && use.locations[0] == &location;
    });
    if (!proxies) RemarkLocation(location);
  }
  if (!whole) {
    draft_.Remark(server.at, "requests outside of its locations are proxied here too");
  }
}

void Importer::RemarkOthers(const std::string& pool) {
  for (const ProxyUse& use : uses_) {
    if (use.target == pool || !InPool(use.server)) continue;
    const std::string where =
        use.locations.empty() ? "" : "location " + PathOf(*use.locations.back()) + ": ";
    draft_.Remark(use.pass->at,
                  fmt::format("{}another pool, \"{}\" (an instance has one; paths are not told "
                              "apart: its requests go to \"{}\" too)",
                              where, ImportText(use.target), ImportText(pool)));
  }
  for (const Directive* server : all_servers_) {
    if (InPool(server)) continue;
    draft_.Remark(server->at, "this server does not proxy to the pool, and was left out");
  }
  for (const Directive* upstream : upstreams_) {
    const std::string name = ImportText(upstream->arg(0));
    if (upstream->arg(0) == pool) continue;
    draft_.Remark(upstream->at,
                  fmt::format("upstream {0} is another pool: import --pool {0}", name));
  }
}

// Whom to believe: nginx names the peers once, and the header tells what for.
void Importer::TrustPeers() {
  const bool by_proxy_protocol = ToLowerAscii(import_.real_ip_header) == "proxy_protocol";
  if (import_.accepts_proxy) {
    draft_.SetBool("proxy_protocol.accept", true, import_.accepts_at);
    std::vector<std::string> trust = import_.real_ip_from;
    if (!by_proxy_protocol || trust.empty()) {
      trust = {"0.0.0.0/0", "::/0"};
      draft_.Remark(import_.accepts_at,
                    "proxy_protocol: every peer is believed, as in nginx: name those "
                    "that should be in proxy_protocol.trust");
    }
    for (const std::string& peer : trust)
      draft_.Add("proxy_protocol.trust", peer, import_.accepts_at);
  }
  if (import_.real_ip_from.empty() || by_proxy_protocol) return;
  if (ToLowerAscii(import_.real_ip_header) != "x-forwarded-for") {
    draft_.Remark(import_.real_ip_at,
                  fmt::format("real_ip_header {}: trusted peers are believed by X-Forwarded-For",
                              ImportText(import_.real_ip_header)));
  }
  for (const std::string& peer : import_.real_ip_from) {
    draft_.Add("forwarded.trust", peer, import_.real_ip_at);
  }
}

// Where nginx's own default lets more pass than ours does, or less, it is carried over.
void Importer::Defaults() {
  const SourcePosition at = MakePosition("nginx's default");
  draft_.set_quiet(true);
  if (proxied_) {
    draft_.SetNumber("timeout.request_ms", 60'000, at);
    draft_.SetNumber("limits.body_bytes", 1024 * 1024, at);
  }
  draft_.set_quiet(false);
  if (proxied_ && !import_.host_given) {
    draft_.Remark(MakePosition(import_.options.name),
                  "without proxy_set_header Host, nginx sends the name in proxy_pass; the client's "
                  "Host is sent here");
  }
}

std::string Importer::Run() {
  Collect(tree_);
  const std::string pool = Choose();
  if (pool.empty()) return {};
  for (const ProxyUse& use : uses_) import_.grpc |= use.target == pool && use.grpc;
  ImportPool(pool);
  for (const ProxyUse& use : uses_) {
    if (use.target != pool) continue;
    if (import_.grpc && !use.grpc) import_.Remark(*use.pass, "a backend has one protocol: here HTTP/2");
    ImportUse(use);
    if (!InPool(use.server)) servers_.push_back(use.server);
  }
  for (const Directive* server : servers_) ImportServer(*server);
  ImportCertificates();
  ImportRedirects();
  draft_.set_quiet(true);
  for (const Directive* directive : outer_) ImportNginxDirective(&import_, *directive);
  draft_.set_quiet(false);
  RemarkOthers(pool);
  if (https_ != nullptr && clear_ != nullptr) {
    import_.Remark(*clear_, "TLS is for all requests to backends or for none: here for all");
  }
  FinishNginxTls(&import_, https_, UpstreamNamed(pool) != nullptr ? pool : "");
  TrustPeers();
  Defaults();
  if (draft_.backends() == 0 && !draft_.faulty()) {
    draft_.Fault(MakePosition(import_.options.name),
                 fmt::format("the pool \"{}\" has no server to carry over", ImportText(pool)));
  }
  return fmt::format("the upstream \"{}\"", ImportText(pool));
}

}  // namespace

std::string ImportNginx(const ImportOptions& options, std::string_view text, ImportDraft* draft) {
  const std::vector<NginxDirective> tree = ReadNginx(text, options, draft);
  if (draft->faulty()) return {};
  return Importer(options, tree, draft).Run();
}

}  // namespace ub
