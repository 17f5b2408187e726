#include "cli/import_nginx.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "cli/import_nginx_scope.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;

class Importer {
 public:
  Importer(const ImportOptions& options, const std::vector<Directive>& tree, ImportDraft* draft)
      : import_{options, draft}, draft_(*draft), tree_(tree) {}
  std::string Run();

 private:
  void Collect(const std::vector<Directive>& block, bool http);
  void CollectUses(const Directive& server, const Directive& block,
                   std::vector<const Directive*>* locations);
  void NormalizeTargets();
  const Directive* UpstreamNamed(const std::string& name) const;
  // The pool's name; empty: there is none, which is a fault.
  std::string Choose();
  std::string ChooseNamed(const std::string& wanted);
  std::string ChooseByUse() const;
  void ImportPool(const std::string& pool);
  void TakeUses(const std::string& pool);
  void TakeUse(const NginxUse& use);
  const NginxUse* WholeOf(const std::vector<const NginxUse*>& uses) const;
  void ImportPart(NginxPart part, const std::vector<const NginxUse*>& uses);
  void ImportSettings();
  void ImportServers();
  void ImportRedirects();
  void RemarkRedirect(const NginxUse& redirect);
  void RemarkOthers(const std::string& pool);
  void RemarkServer(const Directive& server);
  void RemarkLocation(const Directive& location);
  void Defaults();
  bool InPool(const Directive* server) const { return in_pool_.contains(server); }

  NginxImport import_;
  ImportDraft& draft_;
  const std::vector<Directive>& tree_;
  NginxOuter outer_{{}, {}};                 // http; the top level and events
  std::vector<const Directive*> upstreams_;  // in order
  std::map<std::string, const Directive*> upstreams_by_name_;
  std::vector<const Directive*> all_servers_;
  std::vector<const Directive*> lone_locations_;  // of a file that a server includes
  std::vector<NginxUse> uses_;
  std::set<const Directive*> proxying_;    // locations that proxy, or have one in them that does
  std::vector<const NginxUse*> to_pool_;   // those of the uses that lead to the pool
  std::vector<const Directive*> servers_;  // that proxy to the pool
  std::set<const Directive*> serve_tls_;   // of those
  std::set<const Directive*> in_pool_;     // those, and those that only redirect to them
  const NginxUse* whole_ = nullptr;        // that whose settings hold for all
  const Directive* https_ = nullptr;       // a proxy_pass to the pool with TLS, and one without
  const Directive* clear_ = nullptr;
};

void Importer::Collect(const std::vector<Directive>& block, bool http) {
  for (const Directive& directive : block) {
    const std::string& name = directive.name();
    CollectNginxZone(&import_, directive);
    if ((name == "http" || name == "events") && directive.is_block) {
      Collect(directive.block, name == "http");
    } else if (name == "upstream" && directive.is_block && directive.size() == 1) {
      upstreams_.push_back(&directive);
      upstreams_by_name_.emplace(directive.arg(0), &directive);
    } else if (name == "server" && directive.is_block) {
      all_servers_.push_back(&directive);
      CollectNginxListens(&import_, directive);
      std::vector<const Directive*> locations;
      CollectUses(directive, directive, &locations);
    } else if (name == "location" && directive.is_block) {
      std::vector<const Directive*> locations{&directive};
      lone_locations_.push_back(&directive);
      CollectUses(directive, directive, &locations);
    } else if (name == "stream" || name == "mail") {
      import_.Remark({directive.at, {name}, true, {}}, "has no counterpart: only HTTP is balanced");
    } else if (name != "load_module") {
      if (name == "http2" && directive.size() > 0) import_.http2 = directive.arg(0) == "on";
      outer_[http ? 0 : 1].push_back(&directive);
    }
  }
}

void Importer::CollectUses(const Directive& server, const Directive& block,
                           std::vector<const Directive*>* locations) {
  for (const Directive& directive : block.block) {
    if (NginxRuleName(directive) == "proxy_pass") {
      NginxUse use = NginxUseOf(directive);
      if (use.target.empty()) {
        import_.Remark(directive, "is not followed: it has no fixed address");
        continue;
      }
      use.server = &server;
      use.locations = *locations;
      proxying_.insert(locations->begin(), locations->end());
      uses_.push_back(std::move(use));
    } else if (directive.name() == "location" && directive.is_block) {
      locations->push_back(&directive);
      CollectUses(server, directive, locations);
      locations->pop_back();
    }
  }
}

// An address is one with its port: "https://a" is another one than "http://a".
void Importer::NormalizeTargets() {
  for (NginxUse& use : uses_) {
    if (use.target.starts_with("unix:") || UpstreamNamed(use.target) != nullptr) continue;
    const size_t colon = use.target.rfind(':');
    const bool has_port =
        colon != std::string::npos && use.target.find(']', colon) == std::string::npos;
    if (has_port && use.target.substr(colon) == ":80") use.target.resize(colon);
    if (!has_port && use.scheme == "https") use.target += ":443";
  }
}

const Directive* Importer::UpstreamNamed(const std::string& name) const {
  const auto found = upstreams_by_name_.find(name);
  return found == upstreams_by_name_.end() ? nullptr : found->second;
}

// Where `location /` of the first server that has one leads; else the first proxy_pass.
std::string Importer::ChooseByUse() const {
  const auto whole = std::ranges::find_if(uses_, &NginxUse::IsWhole);
  if (whole != uses_.end()) return whole->target;
  return uses_.empty() ? "" : uses_[0].target;
}

std::string Importer::ChooseNamed(const std::string& wanted) {
  for (const std::string& name : {wanted, wanted + ":443"}) {
    const bool used = std::ranges::any_of(uses_, [&](const auto& u) { return u.target == name; });
    if (used || UpstreamNamed(name) != nullptr) return name;
  }
  std::set<std::string> names;
  for (const Directive* upstream : upstreams_) names.insert(ImportText(upstream->arg(0)));
  for (const NginxUse& use : uses_) names.insert(ImportText(use.target));
  draft_.Fault(MakePosition(import_.options.name),
               fmt::format("there is no upstream \"{}\" (there are: {})", ImportText(wanted),
                           fmt::join(names, ", ")));
  return {};
}

std::string Importer::Choose() {
  if (!import_.options.pool.empty()) return ChooseNamed(import_.options.pool);
  if (const std::string chosen = ChooseByUse(); !chosen.empty()) return chosen;
  if (!upstreams_.empty()) return upstreams_[0]->arg(0);
  draft_.Fault(MakePosition(import_.options.name),
               "there is nothing to carry over: no upstream and no proxy_pass to an address");
  return {};
}

void Importer::ImportPool(const std::string& pool) {
  if (const Directive* upstream = UpstreamNamed(pool)) {
    ImportNginxUpstream(&import_, *upstream);
  } else if (!to_pool_.empty()) {  // an address of its own is an upstream of one server
    const SourcePosition& at = to_pool_[0]->pass->at;
    Directive one{at, {"upstream", pool}, true, {}};
    one.block.push_back({at, {"server", pool}, false, {}});
    ImportNginxUpstream(&import_, one);
  }
}

void Importer::TakeUse(const NginxUse& use) {
  if (import_.grpc && !use.grpc) {
    import_.Remark(*use.pass, "a backend has one protocol: here HTTP/2");
  }
  const Directive*& pass = use.scheme == "https" ? https_ : clear_;
  if (pass == nullptr) pass = use.pass;
  if (use.ChangesPaths()) {
    import_.Remark(*use.pass, "paths are not changed: requests keep the one they came with");
  }
}

// The uses that lead to the pool, and the one among them whose settings hold for all.
void Importer::TakeUses(const std::string& pool) {
  for (const NginxUse& use : uses_) {
    if (use.target != pool) continue;
    to_pool_.push_back(&use);
    import_.grpc |= use.grpc;
    if (in_pool_.insert(use.server).second) servers_.push_back(use.server);
  }
  for (const NginxUse* use : to_pool_) TakeUse(*use);
  for (const Directive* server : servers_) {
    if (NginxServes(import_, *server, true)) serve_tls_.insert(server);
  }
  whole_ = WholeOf(to_pool_);
}

// The use among some whose settings hold for all: the whole of the instance where it is there, else
// the first that takes every path, in the default server of its address.
const NginxUse* Importer::WholeOf(const std::vector<const NginxUse*>& uses) const {
  if (uses.empty()) return nullptr;
  if (whole_ != nullptr && std::ranges::find(uses, whole_) != uses.end()) return whole_;
  const auto first = std::ranges::find_if(uses, [](const NginxUse* use) { return use->IsWhole(); });
  const NginxUse* use = first == uses.end() ? uses[0] : *first;
  const Directive* preferred = NginxDefaultBeside(import_, *use->server);
  const auto found = std::ranges::find_if(uses, [&](const NginxUse* other) {
    return other->server == preferred && other->IsWhole() == use->IsWhole();
  });
  return found == uses.end() ? use : *found;
}

// Of some of the uses, what the whole one among them meets, and what others do.
void Importer::ImportPart(NginxPart part, const std::vector<const NginxUse*>& uses) {
  if (uses.empty()) return;
  const NginxUse* whole = WholeOf(uses);
  NginxScope scope(&import_, outer_, part);
  const auto proves = [&](const NginxUse* use) { return scope.ProvesBackends(*use); };
  if (part == NginxPart::kBackendTls && !proves(whole)) {
    // The strictest, whichever comes first.
    const auto strict = std::ranges::find_if(uses, proves);
    if (strict != uses.end()) whole = *strict;
  }
  scope.Take(whole);
  for (const NginxUse* use : uses) scope.RemarkOther(*use);
}

void Importer::ImportSettings() {
  std::vector<const NginxUse*> to_clients, to_backends;
  for (const NginxUse* use : to_pool_) {
    if (serve_tls_.contains(use->server)) to_clients.push_back(use);
    if (use->scheme == "https") to_backends.push_back(use);
  }
  NginxScope general(&import_, outer_, NginxPart::kGeneral, !to_clients.empty());
  general.Take(whole_);
  for (const NginxUse* use : to_pool_) general.RemarkOther(*use);
  const bool sets_host = whole_ != nullptr && general.SetsHost(*whole_);
  for (const NginxUse* use : to_pool_) {
    if (general.SetsHost(*use) || (!sets_host && use != whole_)) continue;
    draft_.Remark(use == whole_ ? MakePosition(import_.options.name) : use->pass->at,
                  "without proxy_set_header Host, nginx sends the name in proxy_pass; the client's "
                  "Host is sent here");
  }
  ImportPart(NginxPart::kClientTls, to_clients);
  ImportPart(NginxPart::kBackendTls, to_backends);
}

void Importer::ImportServers() {
  std::vector<const Directive*> secure;
  for (const Directive* server : servers_) {
    ImportNginxListeners(&import_, *server, false);
    RemarkServer(*server);
    if (serve_tls_.contains(server)) secure.push_back(server);
  }
  for (const Directive* location : lone_locations_) {
    if (!proxying_.contains(location)) RemarkLocation(*location);
  }
  ImportNginxCertificates(&import_, secure, outer_);
}

// A server that only redirects to https is tls.redirect_http, unless there are requests without TLS
// that are to be balanced.
void Importer::ImportRedirects() {
  if (!draft_.ServesTls() || draft_.Has("listen")) return;
  NginxScope scope(&import_, outer_, NginxPart::kGeneral);
  scope.Compare(whole_);
  for (const Directive* server : all_servers_) {
    if (InPool(server) || !NginxServes(import_, *server, false)) continue;
    const std::optional<NginxUse> redirect = NginxRedirect(*server);
    if (!redirect) continue;
    ImportNginxListeners(&import_, *server, true);
    draft_.SetBool("tls.redirect_http", true, server->at);
    in_pool_.insert(server);
    RemarkRedirect(*redirect);
    scope.RemarkRedirect(*redirect);
  }
}

void Importer::RemarkRedirect(const NginxUse& redirect) {
  if (!NginxRedirectsToItself(redirect)) {
    import_.Remark(*redirect.pass, "clients are sent to the name that they asked for");
  }
  if (NginxServes(import_, *redirect.server, true)) {
    import_.Remark(*redirect.pass, "what comes by TLS is not redirected: it goes to the backends");
  }
  const auto remark = [&](const Directive& location) {
    const bool redirects = !redirect.locations.empty() && redirect.locations[0] == &location;
    if (location.name() != "location" || redirects) return;
    draft_.Remark(location.at, fmt::format("location {}: paths are not told apart, its requests "
                                           "are redirected too",
                                           NginxPathOf(location)));
  };
  std::ranges::for_each(redirect.server->block, remark);
  if (!redirect.locations.empty()) std::ranges::for_each(redirect.locations[0]->block, remark);
}

// A location that does not proxy, or those in one that does.
void Importer::RemarkLocation(const Directive& location) {
  if (location.name() != "location" || location.size() == 0) return;
  if (proxying_.contains(&location)) {
    for (const Directive& inner : location.block) RemarkLocation(inner);
    return;
  }
  draft_.Remark(location.at,
                fmt::format("location {}: paths are not told apart, its requests go to the "
                            "backends too",
                            NginxPathOf(location)));
}

// What the other locations of a server that is carried over did.
void Importer::RemarkServer(const Directive& server) {
  for (const Directive& directive : server.block) RemarkLocation(directive);
  const bool whole =
      server.name() != "server" || std::ranges::any_of(server.block, [](const Directive& d) {
        return NginxRuleName(d) == "proxy_pass" || (d.name() == "location" && NginxIsWhole(d));
      });
  if (!whole) draft_.Remark(server.at, "requests outside of its locations are proxied here too");
}

void Importer::RemarkOthers(const std::string& pool) {
  const std::set<const Directive*> proxy(servers_.begin(), servers_.end());
  for (const NginxUse& use : uses_) {
    if (use.target == pool || !proxy.contains(use.server)) continue;
    const std::string where =
        use.locations.empty() ? "" : "location " + NginxPathOf(*use.locations.back()) + ": ";
    draft_.Remark(use.pass->at,
                  fmt::format("{}another pool, \"{}\" (an instance has one; paths are not told "
                              "apart: its requests go to \"{}\" too)",
                              where, ImportText(use.target), ImportText(pool)));
  }
  for (const Directive* server : all_servers_) {
    if (InPool(server)) continue;
    if (!NginxIsServed(import_, *server)) {
      draft_.Remark(server->at, "this server does not proxy to the pool, and was left out");
      continue;
    }
    const bool redirects = NginxServes(import_, *server, false) && NginxRedirect(*server);
    draft_.Remark(server->at,
                  fmt::format("this server was left out: its address is that of others too, and "
                              "what it did not pass on goes to the backends{}",
                              redirects ? ", not to https (tls.redirect_http is for all)" : ""));
  }
  for (const Directive* upstream : upstreams_) {
    const std::string name = ImportText(upstream->arg(0));
    if (upstream->arg(0) == pool) continue;
    draft_.Remark(upstream->at,
                  fmt::format("upstream {0} is another pool: import --pool {0}", name));
  }
}

// Where nginx's own default lets more pass than ours does, or less, it is carried over.
void Importer::Defaults() {
  if (whole_ == nullptr) return;
  const SourcePosition at = MakePosition("nginx's default");
  draft_.set_quiet(true);
  draft_.SetNumber("timeout.request_ms", 60'000, at);
  draft_.SetNumber("limits.body_bytes", 1024 * 1024, at);
  draft_.set_quiet(false);
}

std::string Importer::Run() {
  Collect(tree_, false);
  if (draft_.faulty()) return {};
  NormalizeTargets();
  const std::string pool = Choose();
  if (pool.empty()) return {};
  TakeUses(pool);
  ImportPool(pool);
  ImportSettings();
  ImportServers();
  ImportRedirects();
  RemarkOthers(pool);
  if (https_ != nullptr && clear_ != nullptr) {
    import_.Remark(*clear_, "TLS is for all requests to backends or for none: here for all");
  }
  FinishNginxTls(&import_, https_, UpstreamNamed(pool) != nullptr ? pool : "");
  FinishNginxPeers(&import_);
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
