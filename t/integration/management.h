// The management address as tests use it: a port of its own, JSON answers, and waiting until they
// say what is expected.
#ifndef UB_INTEGRATION_MANAGEMENT_H_
#define UB_INTEGRATION_MANAGEMENT_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "client.h"
#include "proxy.h"

namespace ub::itest {

using Json = nlohmann::json;

// One request that names its own host, as the management address wants it; the Host of other
// helpers is another site's.
Response AskAt(const Endpoint& to, std::string_view method, std::string_view target, std::string_view body = "",
               std::string_view fields = "");

class Management {
 public:
  // Sets `admin` in the configuration; `extra` such as "api_key: secret".
  explicit Management(ConfigFile* config, std::string_view extra = "");

  const Endpoint& endpoint() const { return endpoint_; }
  Response Ask(std::string_view method, std::string_view target, std::string_view body = "",
               std::string_view fields = "") const;
  Response Get(std::string_view target) const { return Ask("GET", target); }
  // A request with {"address":…} and further members, such as ",\"weight\":5".
  Response Change(std::string_view method, std::string_view target, std::string_view address,
                  std::string_view more = "") const;
  // The parsed body of GET; null where it is none.
  Json Fetch(std::string_view target) const;
  // A backend in GET /metrics; null where it is not there.
  Json Backend(std::string_view address) const;
  bool Await(const std::function<bool()>& condition) const { return WaitFor(condition); }

 private:
  Endpoint endpoint_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_MANAGEMENT_H_
