#include "cli/import_nginx_scope.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config_text.h"

namespace ub {
namespace {

using Directive = NginxDirective;

// Of nginx's rewrite module: they run in each block, and no inner one takes the place of an outer.
bool RunsInEachBlock(std::string_view name) {
  return name == "if" || name == "return" || name == "rewrite" || name == "set" || name == "break";
}

bool IsHsts(std::string_view name, const Directive& directive) {
  return name == "add_header" && directive.size() > 0 &&
         ToLowerAscii(directive.arg(0)) == "strict-transport-security";
}

// What is only remembered, until all was read.
bool GivesLater(std::string_view name) {
  return name == "set_real_ip_from" || name == "real_ip_header" || name == "proxy_ssl_name" ||
         name == "proxy_ssl_server_name";
}

std::string NameOf(const Directive& block) {
  if (block.name() != "location") return "its server";
  return "its location " + NginxPathOf(block);
}

// The same values, whether they are of proxy_… or grpc_….
bool SameValues(const Directive* a, const Directive* b) {
  return std::equal(a->words.begin() + 1, a->words.end(), b->words.begin() + 1, b->words.end());
}

const std::vector<const Directive*>& None() {
  static const std::vector<const Directive*> none;
  return none;
}

// The first level that has the name; null: none has.
template <typename Chain>
auto Find(const Chain& chain, std::string_view name) -> decltype(chain[0].get()) {
  for (const auto& level : chain) {
    if (level->by_name.contains(name)) return level.get();
  }
  return nullptr;
}

template <typename Chain>
const std::vector<const Directive*>& ValuesOf(const Chain& chain, std::string_view name) {
  const auto* level = Find(chain, name);
  return level == nullptr ? None() : level->by_name.find(name)->second;
}

template <typename Chain>
bool IsOverridden(const Chain& chain, size_t at, std::string_view name) {
  if (RunsInEachBlock(name)) return false;
  const auto end = chain.begin() + static_cast<std::ptrdiff_t>(at);
  return std::any_of(chain.begin(), end, [&](const auto& l) { return l->by_name.contains(name); });
}

}  // namespace

bool NginxScope::IsAbout(std::string_view name) const {
  const bool clients = name.starts_with("ssl_"), backends = name.starts_with("proxy_ssl_");
  if (part_ == NginxPart::kBackendTls) return backends;
  if (part_ == NginxPart::kClientTls) return clients || name == "add_header";
  return !clients && !backends;
}

void NginxScope::Put(const Directive& directive, bool grpc, Level* level) const {
  if (directive.is_block) {
    for (const std::string_view block : {"location", "server", "upstream"}) {
      if (directive.name() == block) return;
    }
  }
  if (directive.name() == "listen" || directive.name().starts_with(grpc ? "proxy_" : "grpc_")) {
    return;
  }
  std::string name = NginxRuleName(directive);
  if (!IsAbout(name)) return;
  level->by_name[name].push_back(&directive);
  level->all.emplace_back(std::move(name), &directive);
}

NginxScope::Chain NginxScope::ChainOf(const NginxUse* use) {
  const bool grpc = use != nullptr ? use->grpc : import_.grpc;
  const auto shared = [&](const void* key, const Directive* block, const auto& fill) {
    std::shared_ptr<const Level>& there = shared_[{key, grpc}];
    if (there == nullptr) {
      auto level = std::make_shared<Level>();
      level->block = block;
      fill(level.get());
      there = std::move(level);
    }
    return there;
  };
  const auto put_block = [&](const Directive& block) {
    return [&block, grpc, this](Level* level) {
      for (const Directive& directive : block.block) Put(directive, grpc, level);
    };
  };
  Chain chain;
  if (use != nullptr) {
    for (size_t i = use->locations.size(); i-- > 0;) {
      if (use->locations[i] == use->server) continue;  // a file that a server includes
      chain.push_back(shared(use->locations[i], use->locations[i], put_block(*use->locations[i])));
    }
    chain.push_back(shared(use->server, use->server, put_block(*use->server)));
  }
  for (const auto& directives : outer_) {
    chain.push_back(shared(&directives, nullptr, [&](Level* level) {
      for (const Directive* directive : directives) Put(*directive, grpc, level);
    }));
  }
  return chain;
}

// Whether a directive becomes a value of ours.
bool NginxScope::Carries(const std::string& name, const Directive& directive) const {
  if (name == "add_header") return IsHsts(name, directive);
  return NginxCarriesOver(name);
}

bool NginxScope::InWhole(const Level* level) const {
  return std::ranges::any_of(whole_, [&](const auto& other) { return other.get() == level; });
}

void NginxScope::Take(const NginxUse* use) {
  whole_ = ChainOf(use);
  for (size_t i = 0; i < whole_.size(); ++i) {
    for (const auto& [name, directive] : whole_[i]->all) {
      if (IsOverridden(whole_, i, name)) continue;
      if (part_ != NginxPart::kClientTls && IsHsts(name, *directive)) {
        if (!serves_tls_) import_.Remark(*directive, "is sent by TLS only (tls.hsts_seconds)");
        continue;
      }
      const size_t before = import_.draft->taken();
      ImportNginxDirective(&import_, *directive);
      if (whole_[i]->block == nullptr || !Carries(name, *directive)) continue;
      if (import_.draft->taken() == before && !GivesLater(name)) continue;
      Taken& taken = taken_[name];
      taken.level = whole_[i];
      taken.values.push_back(directive);
    }
  }
}

// What one block says that the whole does not.
void NginxScope::RemarkLevel(const Chain& chain, size_t at, bool redirects) {
  const Level& level = *chain[at];
  for (const auto& named : level.all) {
    const std::string& name = named.first;
    const Directive* directive = named.second;
    if (IsOverridden(chain, at, name)) continue;
    if (redirects && NginxLeadsToHttps(*directive)) continue;
    if (!Carries(name, *directive)) {
      ImportNginxDirective(&import_, *directive);
      continue;
    }
    if (part_ != NginxPart::kClientTls && IsHsts(name, *directive)) continue;
    const Named& values = ValuesOf(whole_, name);
    const bool same = std::ranges::any_of(
        values, [&](const Directive* value) { return SameValues(value, directive); });
    if (same) continue;
    import_.Remark(*directive, fmt::format("is for {} alone: left out (one value holds for all)",
                                           NameOf(*level.block)));
  }
}

// What the whole says and other requests do not meet.
void NginxScope::RemarkWidened(const Chain& chain) {
  std::erase_if(taken_, [&](const auto& named) {
    const auto& [name, taken] = named;
    if (std::ranges::find(chain, taken.level) != chain.end()) return false;
    const Level* other = Find(chain, name);
    if (other != nullptr && other->block != nullptr && !InWhole(other)) return false;  // told there
    const Named& others = other == nullptr ? None() : other->by_name.find(name)->second;
    bool all = true;
    for (const Directive* value : taken.values) {
      const bool same = std::ranges::any_of(
          others, [&](const Directive* directive) { return SameValues(directive, value); });
      all = all && !same;
      if (same) continue;
      import_.Remark(*value, fmt::format("is for {} alone in nginx: here it holds for all",
                                         NameOf(*taken.level->block)));
    }
    return all;
  });
}

void NginxScope::RemarkOther(const NginxUse& use) {
  const Chain chain = ChainOf(&use);
  for (size_t i = 0; i < chain.size(); ++i) {
    if (chain[i]->block == nullptr || InWhole(chain[i].get())) continue;
    if (told_.insert(chain[i]->block).second) RemarkLevel(chain, i, false);
  }
  RemarkWidened(chain);
}

void NginxScope::RemarkRedirect(const NginxUse& use) {
  const Chain chain = ChainOf(&use);
  for (size_t i = 0; i < chain.size(); ++i) {
    if (chain[i]->block != nullptr) RemarkLevel(chain, i, true);
  }
}

bool NginxScope::SetsHost(const NginxUse& use) {
  return std::ranges::any_of(ValuesOf(ChainOf(&use), "proxy_set_header"), [](const Directive* d) {
    return d->size() > 0 && ToLowerAscii(d->arg(0)) == "host";
  });
}

bool NginxScope::ProvesBackends(const NginxUse& use) {
  return std::ranges::any_of(ValuesOf(ChainOf(&use), "proxy_ssl_verify"), [](const Directive* d) {
    return d->size() > 0 && d->arg(0) == "on";
  });
}

}  // namespace ub
