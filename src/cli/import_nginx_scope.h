// Which of nginx's settings hold for all requests. There a setting is one of the innermost block
// that has it; here it is one of the whole instance. So one proxy_pass, that of `location /`,
// decides: what its requests meet is carried over, and where those of another meet something else,
// a remark says so. Used by import_nginx.
#ifndef UB_CLI_IMPORT_NGINX_SCOPE_H_
#define UB_CLI_IMPORT_NGINX_SCOPE_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import_nginx.h"
#include "cli/import_nginx_use.h"

namespace ub {

// The directives outside of servers, the innermost block first: those of http, those beside it.
using NginxOuter = std::vector<std::vector<const NginxDirective*>>;

// Which directives a scope is about. Those on TLS with clients are looked for in the servers that
// speak it, those on TLS with backends where a proxy_pass asks for it, all else in the whole.
enum class NginxPart { kGeneral, kClientTls, kBackendTls };

class NginxScope {
 public:
  // `serves_tls`: whether there is a scope for TLS with clients too.
  NginxScope(NginxImport* import, const NginxOuter& outer, NginxPart part, bool serves_tls = true)
      : import_(*import), outer_(outer), part_(part), serves_tls_(serves_tls) {}

  // Carries over what the requests of `use` meet; null: what stands outside of all servers.
  void Take(const NginxUse* use);
  // Only looks at it, for what is compared with it.
  void Compare(const NginxUse* use) { whole_ = ChainOf(use); }
  // Remarks on what those of another use meet.
  void RemarkOther(const NginxUse& use);
  // Remarks on what a server that only redirects, and the location that does, say besides.
  void RemarkRedirect(const NginxUse& use);
  // Whether a proxy_set_header of Host holds for it.
  bool SetsHost(const NginxUse& use);
  // Whether backends have to prove for it who they are.
  bool ProvesBackends(const NginxUse& use);

 private:
  using Named = std::vector<const NginxDirective*>;
  // The settings of one block.
  struct Level {
    std::vector<std::pair<std::string, const NginxDirective*>> all;  // by NginxRuleName, in order
    std::map<std::string, Named, std::less<>> by_name;
    const NginxDirective* block = nullptr;  // null: outside of all servers
  };
  struct Taken {  // what a block of the whole gave values by
    std::shared_ptr<const Level> level;
    Named values;
  };
  using Chain = std::vector<std::shared_ptr<const Level>>;  // the innermost first

  bool IsAbout(std::string_view name) const;
  void Put(const NginxDirective& directive, bool grpc, Level* level) const;
  Chain ChainOf(const NginxUse* use);
  bool Carries(const std::string& name, const NginxDirective& directive) const;
  bool InWhole(const Level* level) const;
  void RemarkLevel(const Chain& chain, size_t at, bool redirects);
  void RemarkWidened(const Chain& chain);

  NginxImport& import_;
  const NginxOuter& outer_;
  NginxPart part_;
  bool serves_tls_;
  Chain whole_;
  std::map<std::pair<const void*, bool>, std::shared_ptr<const Level>> shared_;  // by block
  std::set<const void*> told_;          // the blocks
  std::map<std::string, Taken> taken_;  // by name, until it was said that they hold for all
};

}  // namespace ub

#endif  // UB_CLI_IMPORT_NGINX_SCOPE_H_
