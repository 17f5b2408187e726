// What is refused stands in config_bad_toml_cases.inc (config_load_test.cc); here is what is read.
#include "core/config_toml.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

TEST(ConfigToml, TextBecomesNodes) {
  const struct {
    const char *text, *nodes;
  } kCases[] = {
      {"", "{}"},
      {"# only a comment\n", "{}"},
      {"a = 1\nb = \"x\"\n", "{ a: 1, b: \"x\" }"},
      {"a = 1_000\nb = 0x10\nc = -1\n", "{ a: 1000, b: 16, c: -1 }"},
      {"a = true\nb = false\n", "{ a: true, b: false }"},
      {"a = 1.5\n", "{ a: 1.5 }"},
      {"a = 'b\\c'\n", "{ a: \"b\\c\" }"},
      {"a = \"\"\"x\ny\"\"\"\n", "{ a: \"x\ny\" }"},
      {"a = [ 1, \"x\", [ 2 ], { k = 3 } ]\n", "{ a: [ 1, \"x\", [ 2 ], { k: 3 } ] }"},
      {"[s]\na = 1\n[s.t]\nb = 2\n", "{ s: { a: 1, t: { b: 2 } } }"},
      {"s.t.a = 1\n", "{ s: { t: { a: 1 } } }"},
      {"[[l]]\na = 1\n[[l]]\na = 2\n", "{ l: [ { a: 1 }, { a: 2 } ] }"},
      {"a = 1\r\nb = 2\r\n", "{ a: 1, b: 2 }"},
      {"\ta = 1\n", "{ a: 1 }"},
      {"a = 1 # a comment\n", "{ a: 1 }"},
      {"\"a.b\" = 1\n", "{ a.b: 1 }"},
      {"a = [\n  1,\n  2,\n]\n", "{ a: [ 1, 2 ] }"},
  };
  for (const auto& test : kCases) {
    ConfigProblems problems;
    EXPECT_EQ(Dump(ParseToml(test.text, "t", &problems)), test.nodes) << test.text;
    EXPECT_EQ(Lines(problems), "") << test.text;
  }
}

TEST(ConfigToml, EachNodeKnowsItsPlace) {
  ConfigProblems problems;
  const ConfigNode root = ParseToml("a = 1\n[s]\n  k = [ 5, 6 ]\n", "f.toml", &problems);
  EXPECT_EQ(root.Find("a")->position.ToString(), "f.toml:1:5");
  EXPECT_EQ(root.FindPath("s.k")->position.ToString(), "f.toml:3:7");
  EXPECT_EQ(root.FindPath("s.k")->items[1].position.ToString(), "f.toml:3:12");
  EXPECT_EQ(root.Find("s")->entries[0].position.ToString(), "f.toml:3:3");
}

// Dots in strings and comments are no dotted keys.
TEST(ConfigToml, DotsAreCountedOnlyWhereTheyNest) {
  const std::string dots = Repeat("a.", 40);
  for (const std::string& text :
       {"k = \"" + dots + "\"\n", "k = '" + dots + "'\n", "# " + dots + "\n",
        "k = \"\"\"\n" + dots + "\\\n" + dots + "\"\"\"\n", "k = '''" + dots + "'''\n",
        "k = \"\\\"" + dots + "\"\n", "a.b = 1\n" + Repeat("[s.t]\n#.\n", 1)}) {
    ConfigProblems problems;
    ParseToml(text, "t", &problems);
    EXPECT_EQ(Lines(problems), "") << text;
  }
  for (const std::string& text :
       {dots + "k = 1\n", "s = ''\n[" + dots + "k]\n", "s = \"\"\"x\"\"\"\n" + dots + "k = 1\n",
        "s = { " + dots + "k = 1 }\n"}) {
    ConfigProblems problems;
    ParseToml(text, "t", &problems);
    ASSERT_EQ(problems.size(), 1u) << text;
    EXPECT_NE(problems[0].text.find("nested too deeply"), std::string::npos) << text;
  }
}

// For some of them toml++ 3.3 has undefined behaviour.
TEST(ConfigToml, LettersBeyondAsciiStandInQuotes) {
  for (const char* good : {"a = \"\xc3\xb6\"", "\"\xc3\xb6\" = 1", "a = '\xc6\xa4' # \xc6\xa4",
                           "a = \"\"\"\n\xc6\xa4\n\"\"\"", "a = '''\xc6\xa4'''\nb = 1"}) {
    ConfigProblems problems;
    ParseToml(good, "t", &problems);
    EXPECT_EQ(Lines(problems), "") << good;
  }
  const struct {
    const char *text, *place;
  } kBad[] = {{"a = \xc6\xa4", "t:1:5"},
              {"gr\xc3\xb6 = 1", "t:1:3"},
              {"a = \"\xc3\xb6\" \xc2\xa0", "t:1:10"},
              {"a = \"\"\"x\\\n\"\"\"\n[\xc6\xa4]", "t:3:2"},
              {"a = 1\n\xe2\x80\xa8", "t:2:1"}};
  for (const auto& test : kBad) {
    ConfigProblems problems;
    ParseToml(test.text, "t", &problems);
    EXPECT_EQ(Lines(problems),
              std::string(test.place) + ": not valid TOML: letters beyond ASCII stand in quotes");
  }
}

TEST(ConfigToml, TheLibraryHasAVersion) { EXPECT_NE(TomlLibraryVersion(), ""); }

}  // namespace
}  // namespace ub
