// A configuration as JSON: what GET /admin/config shows, and what `validate --diff` compares.
// Secrets are hidden. Controller, and the command line's short-lived process.
#ifndef UB_HTTP_CONFIG_JSON_H_
#define UB_HTTP_CONFIG_JSON_H_

#include <string>
#include <vector>

#include "core/config.h"
#include "http/metrics_json.h"

namespace ub {

// Sections as objects, as in the file; backends as objects too.
Json ConfigJson(const Config& config);

// What `after` changes of `before`, both by ConfigJson: "algorithm: round-robin → power-of-two",
// one line a key. A secret that both have is taken as the same.
std::vector<std::string> DiffConfigJson(const Json& before, const Json& after);

}  // namespace ub

#endif  // UB_HTTP_CONFIG_JSON_H_
