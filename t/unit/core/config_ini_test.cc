// What is refused stands in config_bad_ini_cases.inc (config_load_test.cc); here is what is read.
#include "core/config_ini.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

TEST(ConfigIni, TextBecomesNodes) {
  const struct {
    const char *text, *nodes;
  } kCases[] = {
      {"", "{}"},
      {"; a comment\n# another\n  ; and one more\n", "{}"},
      {"a = 1\nb=2\nc : 3\n", "{ a: '1, b: '2, c: '3 }"},
      {"a = two words\n", "{ a: 'two words }"},
      {"a = 1 ; a comment\n", "{ a: '1 }"},
      {"a = x;y\n", "{ a: 'x;y }"},  // no comment without a blank before it
      {"a = x # y\n", "{ a: 'x # y }"},
      {"a =\n", "{ a: '\"\" }"},
      {"a = \"x ; y\" ; z\n", "{ a: '\"x ; y\" }"},
      {"a = \"b \\\"c\\\" \\\\\"\n", "{ a: '\"b \"c\" \\\" }"},
      {"a = \" padded \"\n", "{ a: '\" padded \" }"},
      {"a = \"x\", \"y\"\n", "{ a: '\"x\", \"y\" }"},
      {"a = b = c\n", "{ a: 'b = c }"},
      {"a = b:c\n", "{ a: 'b:c }"},
      {"[s]\na = 1\n[s.t]\nb = 2\n", "{ s: { a: '1, t: { b: '2 } } }"},
      {"[s]\n", "{ s: {} }"},
      {"[ s ] ; a comment\na = 1\n", "{ s: { a: '1 } }"},
      {"s.a = 1\n", "{ s: { a: '1 } }"},
      {"s.a = 1\n[s]\nb = 2\n", "{ s: { a: '1, b: '2 } }"},
      {"[backend one]\nhost = h\n[backend]\nhost = i\n",
       "{ backends: [ { name: '\"one\", host: 'h }, { host: 'i } ] }"},
      {"[backend \"a b\"]\n", "{ backends: [ { name: '\"a b\" } ] }"},
      {"[backend one]\nname = two\n", "{ backends: [ { name: 'two } ] }"},
      {"a = 1\r\n[s]\r\nb = \"x\"\r\n", "{ a: '1, s: { b: '\"x\" } }"},
      {"\ta\t=\t1\t\n", "{ a: '1 }"},
      {"a = 1", "{ a: '1 }"},                    // no line feed at the end
      {"a = 1\n  b = 2\n", "{ a: '1, b: '2 }"},  // an indented line goes on with nothing
      {"a = \xc3\xb6\n", "{ a: '\xc3\xb6 }"},
  };
  for (const auto& test : kCases) {
    ConfigProblems problems;
    EXPECT_EQ(Dump(ParseIni(test.text, "t", &problems)), test.nodes) << test.text;
    EXPECT_EQ(Lines(problems), "") << test.text;
  }
}

TEST(ConfigIni, EachNodeKnowsItsPlace) {
  ConfigProblems problems;
  const ConfigNode root =
      ParseIni("; c\n  a =  1\n[s]\nkey=\"x\"\n[backend b]\n  host = h\n", "f.ini", &problems);
  EXPECT_EQ(Lines(problems), "");
  EXPECT_EQ(root.entries[0].position.ToString(), "f.ini:2:3");
  EXPECT_EQ(root.Find("a")->position.ToString(), "f.ini:2:8");
  EXPECT_EQ(root.FindPath("s.key")->position.ToString(), "f.ini:4:5");
  const ConfigNode& backend = root.Find("backends")->items.at(0);
  EXPECT_EQ(backend.position.ToString(), "f.ini:5:1");
  EXPECT_EQ(backend.Find("host")->position.ToString(), "f.ini:6:10");
}

// inih cuts at its buffers' ends without a word; up to the bounds nothing may be lost.
TEST(ConfigIni, LongLinesAndNamesAreKeptWhole) {
  const std::string value(16 * 1024 - 4, 'v'), name(48, 'n'), section(48, 's');
  ConfigProblems problems;
  const ConfigNode root = ParseIni("a = " + value + "\n" + name + " = 1\n[" + section + "]\n" +
                                       name + " = \"" + std::string(16000, 'w') + "\"\n",
                                   "t", &problems);
  EXPECT_EQ(Lines(problems), "");
  EXPECT_EQ(root.Find("a")->text, value);
  EXPECT_EQ(root.Find(name)->text, "1");
  EXPECT_EQ(root.Find(section)->Find(name)->text, std::string(16000, 'w'));
}

TEST(ConfigIni, AFileOfKeysWithoutEndIsGivenUp) {
  std::string keys, backends;
  for (int i = 0; i < 12000; ++i) {
    keys += "k" + std::to_string(i) + " = 1\n";
    backends += "[backend b" + std::to_string(i) + "]\nhost = h\n";
  }
  ConfigProblems problems;
  EXPECT_EQ(ParseIni(keys, "t", &problems).entries.size(), 10000u);
  EXPECT_EQ(Lines(problems), "t:10001:1: too many keys (at most 10000; is it a configuration?)");
  problems.clear();
  EXPECT_EQ(ParseIni(backends, "t", &problems).Find("backends")->items.size(), 12000u);
  EXPECT_EQ(Lines(problems), "") << "backends there may be many of";
}

TEST(ConfigIni, AValueThatIsOnlyInTheCommentIsNone) {
  ConfigProblems problems;
  EXPECT_EQ(Dump(ParseIni("a ;x = 1\nb = 1 ;c = 2\nd\t;e: 3\nf;g = 4\n", "t", &problems)), "{ b: '1, f;g: '4 }");
  EXPECT_EQ(Lines(problems),
            "t:1:1: \"a\" has no value (write \"key = value\")\n"
            "t:3:1: \"d\" has no value (write \"key = value\")");
}

TEST(ConfigIni, AFaultyLineDoesNotHideTheOthers) {
  ConfigProblems problems;
  const ConfigNode root = ParseIni("a\nb = 1\n[s\nc = 2\n[t]\nd = 3\n= 4\ne = 5\n", "t", &problems);
  EXPECT_EQ(Dump(root), "{ b: '1, t: { d: '3, e: '5 } }");
  EXPECT_EQ(Lines(problems),
            "t:1:1: \"a\" has no value (write \"key = value\")\n"
            "t:3:1: the section has no \"]\" (write \"[name]\")\n"
            "t:7:1: the key is missing (write \"key = value\")");
}

}  // namespace
}  // namespace ub
