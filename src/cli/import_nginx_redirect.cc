// Servers that do nothing but send their clients to https.
#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "cli/import_nginx.h"
#include "cli/import_nginx_use.h"

namespace ub {
namespace {

using Directive = NginxDirective;

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

// What stands behind "https://" in a redirect of every path to itself; empty: it is none.
std::string_view RedirectHost(const Directive& directive) {
  constexpr std::string_view kHttps = "https://";
  const bool rewrites = directive.name() == "rewrite";
  if (!rewrites && directive.name() != "return") return {};
  if (directive.size() == 0 || (rewrites && directive.size() < 2)) return {};
  std::string_view to = rewrites ? directive.arg(1) : directive.arg(directive.size() - 1);
  if (!to.starts_with(kHttps)) return {};
  to.remove_prefix(kHttps.size());
  if (!rewrites && directive.size() > 2) return {};
  std::string_view path;
  if (!rewrites) {
    path = to.substr(std::min(to.find("$request_uri"), to.size()));
    path = path.empty() ? to.substr(std::min(to.find("$uri"), to.size())) : path;
    if (!IsOneOf(path, {"$request_uri", "$uri", "$uri$is_args$args"})) return {};
  } else if (IsOneOf(directive.arg(0), {"^", "^.*", "^.*$", ".*"})) {
    path = to.substr(std::min(to.find("$request_uri"), to.size()));
    if (!IsOneOf(path, {"$request_uri", "$request_uri?"})) return {};
  } else if (IsOneOf(directive.arg(0), {"^(.*)", "^(.*)$", "(.*)", "^/(.*)", "^/(.*)$"})) {
    const bool slash = directive.arg(0).starts_with("^/");
    const std::string_view wanted = slash ? "/$1" : "$1";
    path = to.ends_with(wanted) ? to.substr(to.size() - wanted.size()) : std::string_view();
  }
  const std::string_view host = to.substr(0, to.size() - path.size());
  return path.empty() || host.find('/') != std::string_view::npos ? std::string_view() : host;
}

// `if` by what does not tell requests to one name apart.
bool AsksForHost(const Directive& directive) {
  return directive.size() > 0 &&
         IsOneOf(directive.arg(0), {"($host", "($http_host", "($scheme", "($https", "($https)"});
}

const Directive* RedirectIn(const Directive& block) {
  const auto found = std::ranges::find_if(
      block.block, [](const Directive& d) { return !RedirectHost(d).empty(); });
  return found == block.block.end() ? nullptr : &*found;
}

// The redirect that a directive is, or that its `if` holds; null: none.
const Directive* RedirectOf(const Directive& directive) {
  if (!RedirectHost(directive).empty()) return &directive;
  return directive.name() == "if" && AsksForHost(directive) ? RedirectIn(directive) : nullptr;
}

}  // namespace

bool NginxLeadsToHttps(const Directive& directive) { return RedirectOf(directive) != nullptr; }

std::optional<NginxUse> NginxRedirect(const Directive& server) {
  NginxUse use;
  use.server = &server;
  for (const Directive& directive : server.block) {
    const std::string rule = NginxRuleName(directive);
    if (rule == "proxy_pass") return {};
    if (use.pass == nullptr) use.pass = RedirectOf(directive);
    if (use.pass != nullptr || directive.name() != "location" || !NginxIsWhole(directive)) continue;
    use.pass = RedirectIn(directive);
    if (use.pass != nullptr) use.locations = {&directive};
  }
  if (use.pass == nullptr) return {};
  use.target = std::string(RedirectHost(*use.pass));
  return use;
}

bool NginxRedirectsToItself(const NginxUse& redirect) {
  return IsOneOf(redirect.target,
                 {"$host", "${host}", "$http_host", "${http_host}", "$server_name"});
}

}  // namespace ub
