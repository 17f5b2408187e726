#include "management.h"

#include <fmt/format.h>

namespace ub::itest {

Management::Management(ConfigFile* config, std::string_view extra) : endpoint_(Endpoint::V4(FreePort())) {
  config->Set("admin", fmt::format("{{ listen_port: {}{}{} }}", endpoint_.port, extra.empty() ? "" : ", ", extra));
}

Response Management::Ask(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view fields) const {
  return AskAt(endpoint_, method, target, body, fields);
}

Response AskAt(const Endpoint& to, std::string_view method, std::string_view target, std::string_view body,
               std::string_view fields) {
  Client client(to);
  client.Send(fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: {}\r\n\r\n{}", method, target,
                          to.family == AF_UNIX ? "localhost" : to.Text(), fields, body.size(), body));
  return client.Read(method);
}

Response Management::Change(std::string_view method, std::string_view target, std::string_view address,
                            std::string_view more) const {
  return Ask(method, target, fmt::format("{{\"address\":\"{}\"{}}}", address, more));
}

Json Management::Fetch(std::string_view target) const { return Json::parse(Get(target).body, nullptr, false); }

Json Management::Backend(std::string_view address) const {
  const Json metrics = Fetch("/metrics");
  if (!metrics.is_object()) return nullptr;
  for (const Json& backend : metrics["backends"]) {
    if (backend["address"] == address) return backend;
  }
  return nullptr;
}

}  // namespace ub::itest
