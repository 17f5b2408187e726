// Any bytes as a configuration of nginx or HAProxy: faults with a place in printable text, or YAML
// that the configuration's own checks take.
#include "cli/import.h"

#include "config_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto known = [](const std::string& name) { return name == "www-data"; };
  for (const char* from : {"", "nginx", "haproxy"}) {
    const ub::ImportResult result = ub::ImportConfig({.file = "f",
                                                      .from = from,
                                                      .follow_includes = false,
                                                      .has_user = known,
                                                      .has_group = known},
                                                     text);
    ub::Require(result.faults.empty() != result.yaml.empty());
    for (const std::string& fault : result.faults) {
      ub::Require(fault.starts_with("f:"));
      for (const char c : fault) ub::Require(c >= 0x20 && c < 0x7f);
    }
    if (result.yaml.empty()) continue;
    ub::ConfigProblems problems;
    const ub::ConfigNode root =
        ub::ParseConfigText(ub::ConfigFormat::kYaml, result.yaml, "imported.yaml", &problems);
    ub::Require(problems.empty());
    const ub::BindResult bound = ub::BindConfig(root, {});
    ub::Require(bound.problems.empty());
  }
  return 0;
}
