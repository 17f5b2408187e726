#include "core/config_merge.h"

#include <gtest/gtest.h>

#include "config_fixture.h"
#include "core/config_yaml.h"

namespace ub {
namespace {

std::string Merged(std::string_view base, std::string_view over) {
  ConfigProblems problems;
  ConfigNode root = ParseYaml(base, "base", &problems);
  MergeConfig(&root, ParseYaml(over, "over", &problems));
  EXPECT_EQ(Lines(problems), "");
  return Dump(root);
}

TEST(ConfigMerge, LaysOneLayerOverAnother) {
  const struct {
    const char *base, *over, *merged;
  } kCases[] = {
      {"a: 1", "", "{ a: 1 }"},
      {"", "a: 1", "{ a: 1 }"},
      {"{ a: 1, b: 2 }", "b: 3", "{ a: 1, b: 3 }"},
      {"s: { a: 1, b: 2 }", "s: { b: 3, c: 4 }", "{ s: { a: 1, b: 3, c: 4 } }"},
      {"s: { t: { a: 1 } }", "s: { t: { b: 2 } }", "{ s: { t: { a: 1, b: 2 } } }"},
      {"l: [ 1, 2 ]", "l: [ 3 ]", "{ l: [ 3 ] }"},  // lists are not joined
      {"s: { a: 1 }", "s:", "{ s: { a: 1 } }"},     // an empty section sets nothing
      {"s:", "s: { a: 1 }", "{ s: { a: 1 } }"},
      {"a: 1", "a: { b: 2 }", "{ a: { b: 2 } }"},
      {"s: { a: 1 }", "s: 2", "{ s: 2 }"},  // for the binder to refuse
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Merged(test.base, test.over), test.merged) << test.base << " | " << test.over;
  }
}

TEST(ConfigMerge, ListenAndItsShortFormPutEachOtherOutOfForce) {
  EXPECT_EQ(Merged("{ listen_address: a, listen_port: 1 }", "listen: [ b ]"), "{ listen: [ b ] }");
  EXPECT_EQ(Merged("listen: [ b ]", "listen_port: 1"), "{ listen_port: 1 }");
  EXPECT_EQ(Merged("listen: [ b ]", "listen_address: a"), "{ listen_address: a }");
  EXPECT_EQ(Merged("listen_address: a", "listen_port: 1"), "{ listen_address: a, listen_port: 1 }");
}

TEST(ConfigMerge, ValuesKeepThePlaceThatTheyComeFrom) {
  ConfigProblems problems;
  ConfigNode root = ParseYaml("a: 1\nb: 2", "base", &problems);
  MergeConfig(&root, ParseYaml("\nb: 3", "over", &problems));
  EXPECT_EQ(root.Find("a")->position.ToString(), "base:1:4");
  EXPECT_EQ(root.Find("b")->position.ToString(), "over:2:4");
}

}  // namespace
}  // namespace ub
