// What becomes of an HAProxy configuration, for tests that look at parts of it.
#ifndef UB_T_SUPPORT_HAPROXY_IMPORT_H_
#define UB_T_SUPPORT_HAPROXY_IMPORT_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "core/config_bind.h"
#include "core/config_load.h"

namespace ub {

struct HaproxyCase {
  std::string text;
  std::vector<std::string> has, lacks{};  // parts of the YAML, its remarks included
};

// The YAML of `text`, called "f"; it has to be a good configuration.
inline std::string ImportedHaproxy(const std::string& text) {
  const auto nobody = [](const std::string& /*name*/) { return false; };
  const ImportResult result =
      ImportConfig({.file = "f", .from = "haproxy", .has_user = nobody, .has_group = nobody}, text);
  EXPECT_TRUE(result.faults.empty()) << result.faults[0] << "\n" << text;
  ConfigProblems problems;
  const ConfigNode root =
      ParseConfigText(ConfigFormat::kYaml, result.yaml, "imported.yaml", &problems);
  EXPECT_TRUE(problems.empty()) << result.yaml;
  EXPECT_TRUE(BindConfig(root, {}).problems.empty()) << result.yaml;
  return result.yaml;
}

inline void ExpectHaproxy(const std::vector<HaproxyCase>& cases) {
  for (const HaproxyCase& test : cases) {
    const std::string yaml = ImportedHaproxy(test.text);
    for (const std::string& part : test.has) {
      EXPECT_NE(yaml.find(part), std::string::npos) << part << "\n" << test.text << "=>\n" << yaml;
    }
    for (const std::string& part : test.lacks) {
      EXPECT_EQ(yaml.find(part), std::string::npos) << part << "\n" << test.text << "=>\n" << yaml;
    }
  }
}

}  // namespace ub

#endif  // UB_T_SUPPORT_HAPROXY_IMPORT_H_
