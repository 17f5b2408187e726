// What is refused stands in config_bad_yaml_cases.inc (config_load_test.cc); here is what is read.
#include "core/config_yaml.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

TEST(ConfigYaml, TextBecomesNodes) {
  const struct {
    const char *text, *nodes;
  } kCases[] = {
      {"", "{}"},
      {"# only a comment\n", "{}"},
      {"---\n", "{}"},
      {"---\na: 1\n...\n", "{ a: 1 }"},
      {"a: 1\nb: two words\n", "{ a: 1, b: two words }"},
      {"a: 'x'\nb: \"y\\n\"\n", "{ a: \"x\", b: \"y\n\" }"},
      {"a: \"\"\nb:\nc: ~\nd: null\ne: \"null\"\n", "{ a: \"\", b: ~, c: ~, d: ~, e: \"null\" }"},
      {"a:\n  b:\n    c: 1\n  d: 2\n", "{ a: { b: { c: 1 }, d: 2 } }"},
      {"a: [ 1, [ x ], { y: z } ]\n", "{ a: [ 1, [ x ], { y: z } ] }"},
      {"a:\n- 1\n- 2\n", "{ a: [ 1, 2 ] }"},
      {"a: {}\nb: []\n", "{ a: {}, b: [] }"},
      {"{ a: 1, \"b\": 2 }", "{ a: 1, b: 2 }"},  // JSON is YAML
      {"a: |\n  one\n  two\n", "{ a: \"one\ntwo\n\" }"},
      {"a: 1 # a comment\n", "{ a: 1 }"},
      {"a: 1\r\nb: 2\r\n", "{ a: 1, b: 2 }"},
      {"a:\t1\n", "{ a: 1 }"},  // a tab that indents nothing
      {"a: b#c\n", "{ a: b#c }"},
      {"a: http://x/y\n", "{ a: http://x/y }"},
      {"~: 1\n", "{ ~: 1 }"},  // a key is text
      {"a: \xc3\xb6\n", "{ a: \xc3\xb6 }"},
  };
  for (const auto& test : kCases) {
    ConfigProblems problems;
    EXPECT_EQ(Dump(ParseYaml(test.text, "t", &problems)), test.nodes) << test.text;
    EXPECT_EQ(Lines(problems), "") << test.text;
  }
}

TEST(ConfigYaml, EachNodeKnowsItsPlace) {
  ConfigProblems problems;
  const ConfigNode root = ParseYaml("a: 1\ns:\n  k: [ x, y ]\n", "f.yaml", &problems);
  EXPECT_EQ(root.Find("a")->position.ToString(), "f.yaml:1:4");
  EXPECT_EQ(root.entries[1].position.ToString(), "f.yaml:2:1");
  EXPECT_EQ(root.FindPath("s.k")->position.ToString(), "f.yaml:3:6");
  EXPECT_EQ(root.FindPath("s.k")->items[1].position.ToString(), "f.yaml:3:11");
}

TEST(ConfigYaml, NestingIsTakenToItsBound) {
  ConfigProblems problems;
  const auto nested = [](size_t depth) {
    return "a: " + Repeat("[", depth) + Repeat("]", depth) + "\n";
  };
  ParseYaml(nested(kMaxConfigDepth), "t", &problems);
  EXPECT_EQ(Lines(problems), "");
  ParseYaml(nested(kMaxConfigDepth + 1), "t", &problems);
  EXPECT_EQ(Lines(problems), "t:1:20: nested too deeply (at most 16 levels)");
}

TEST(ConfigYaml, WhatStoodBeforeAFaultIsKept) {
  ConfigProblems problems;
  const ConfigNode root = ParseYaml("a: 1\nb: *x\nc: 3\n", "t", &problems);
  EXPECT_EQ(root.Find("a")->text, "1");
  EXPECT_EQ(Lines(problems),
            "t:2:4: YAML aliases are not taken (write the value of \"*x\" in full)");
}

TEST(ConfigYaml, TheLibraryHasAVersion) { EXPECT_NE(YamlLibraryVersion(), ""); }

}  // namespace
}  // namespace ub
