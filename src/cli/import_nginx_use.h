// One proxy_pass or grpc_pass of an nginx configuration. Used by import_nginx.
#ifndef UB_CLI_IMPORT_NGINX_USE_H_
#define UB_CLI_IMPORT_NGINX_USE_H_

#include <string>
#include <vector>

#include "cli/import_nginx_tree.h"

namespace ub {

struct NginxUse {  // in which blocks it stands, and where it leads
  const NginxDirective* server = nullptr;
  std::vector<const NginxDirective*> locations;  // from the outermost on
  const NginxDirective* pass = nullptr;
  std::string scheme, target, uri;  // "http", "app" or "10.0.0.1:80" or "unix:/path", "/" or ""
  bool grpc = false;

  bool IsWhole() const;
  // Whether the backends get another path than the client asked for.
  bool ChangesPaths() const;
};

// `location /`, which takes whatever no other does.
bool NginxIsWhole(const NginxDirective& location);
// The words of a location behind its name: "/api", "= /x", "~ \.php$".
std::string NginxPathOf(const NginxDirective& location);
// Where a proxy_pass leads; the target is empty where that is not fixed.
NginxUse NginxUseOf(const NginxDirective& pass);

}  // namespace ub

#endif  // UB_CLI_IMPORT_NGINX_USE_H_
