#include "core/config_env.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "config_fixture.h"
#include "core/config_keys.h"

namespace ub {
namespace {

struct Read {
  std::string nodes, problems, warnings;
};

Read ReadEnvironment(const EnvironmentMap& environment) {
  ConfigProblems problems, warnings;
  const ConfigNode root = EnvironmentNodes(environment, &problems, &warnings);
  return {Dump(root), Lines(problems), Lines(warnings)};
}

TEST(ConfigEnvironment, EveryKeyHasItsVariable) {
  for (const ConfigKey& key : ConfigKeys()) {
    ConfigProblems problems, warnings;
    const ConfigNode root =
        EnvironmentNodes({{EnvironmentName(key), "value"}}, &problems, &warnings);
    const ConfigNode* node = root.FindPath(key.path);
    ASSERT_NE(node, nullptr) << key.path;
    EXPECT_EQ(Dump(*node), "'value") << key.path;
    EXPECT_EQ(node->position.ToString(), "environment " + EnvironmentName(key));
    EXPECT_TRUE(problems.empty() && warnings.empty()) << key.path;
  }
}

TEST(ConfigEnvironment, OnlyOurVariablesCountAndEmptyOnesSetNothing) {
  const Read read = ReadEnvironment({{"PATH", "/bin"},
                                     {"ULTRA", "1"},
                                     {"ultra_workers", "1"},
                                     {"ULTRA_WORKERS", ""},
                                     {"ULTRA_LISTEN_PORT", "80"},
                                     {"ZZZ", "1"}});
  EXPECT_EQ(read.nodes, "{ listen_port: '80 }");
  EXPECT_EQ(read.problems + read.warnings, "");
}

// Kubernetes gives NAME_PORT, NAME_SERVICE_HOST and the like for a service called "ultra".
TEST(ConfigEnvironment, StrangersAreIgnoredWithAWarningNearMissesRefused) {
  const Read read = ReadEnvironment({{"ULTRA_SERVICE_HOST", "10.0.0.1"}, {"ULTRA_WORKER", "2"}});
  EXPECT_EQ(read.nodes, "{}");
  EXPECT_EQ(read.problems,
            "environment ULTRA_WORKER: no key has this name (did you mean ULTRA_WORKERS?)");
  EXPECT_EQ(read.warnings, "environment ULTRA_SERVICE_HOST: no key has this name; it is ignored");
}

TEST(ConfigEnvironment, CapturesThisProcess) {
  setenv("UB_TEST_VARIABLE", "a=b", 1);
  EXPECT_EQ(CaptureEnvironment().at("UB_TEST_VARIABLE"), "a=b");
  unsetenv("UB_TEST_VARIABLE");
  EXPECT_FALSE(CaptureEnvironment().contains("UB_TEST_VARIABLE"));
}

}  // namespace
}  // namespace ub
