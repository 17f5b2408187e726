// What becomes of a configuration of nginx or HAProxy, for tests that look at parts of it.
#ifndef UB_T_SUPPORT_IMPORT_CASES_H_
#define UB_T_SUPPORT_IMPORT_CASES_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/import.h"
#include "core/config_bind.h"
#include "core/config_load.h"

namespace ub {

struct ImportCase {
  std::string text;
  std::vector<std::string> has, lacks{};  // parts of the YAML, its remarks included
};

// The YAML of `text`, called `file`, on a machine without users; it has to be a good configuration. "fault: …" where it
// cannot be carried over.
inline std::string Imported(const std::string& from, const std::string& text, const std::string& file = "f",
                            const std::string& pool = "") {
  const auto nobody = [](const std::string& /*name*/) { return false; };
  const ImportResult result =
      ImportConfig({.file = file, .from = from, .pool = pool, .has_user = nobody, .has_group = nobody}, text);
  if (!result.faults.empty()) return "fault: " + result.faults[0];
  ConfigProblems problems;
  const ConfigNode root = ParseConfigText(ConfigFormat::kYaml, result.yaml, "imported.yaml", &problems);
  EXPECT_TRUE(problems.empty()) << result.yaml;
  EXPECT_TRUE(BindConfig(root, {}).problems.empty()) << result.yaml;
  return result.yaml;
}

// `before` stands before the text of each.
inline void ExpectImported(const std::string& from, const std::string& before, const std::vector<ImportCase>& cases) {
  for (const ImportCase& test : cases) {
    const std::string yaml = Imported(from, before + test.text);
    for (const std::string& part : test.has) {
      EXPECT_NE(yaml.find(part), std::string::npos) << part << "\n" << test.text << "=>\n" << yaml;
    }
    for (const std::string& part : test.lacks) {
      EXPECT_EQ(yaml.find(part), std::string::npos) << part << "\n" << test.text << "=>\n" << yaml;
    }
  }
}

}  // namespace ub

#endif  // UB_T_SUPPORT_IMPORT_CASES_H_
