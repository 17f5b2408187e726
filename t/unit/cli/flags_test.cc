#include "cli/flags.h"

#include <gtest/gtest.h>

#include <set>

#include "core/config_keys.h"

namespace ub {
namespace {

Arguments Parse(const std::vector<std::string>& words) {
  std::vector<const char*> argv{"ultrabalancer"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return ParseArguments(static_cast<int>(argv.size()), argv.data());
}

// "command word…: --flag=value --flag", or "! error".
std::string Described(const std::vector<std::string>& words) {
  const Arguments arguments = Parse(words);
  if (!arguments.error.empty()) return "! " + arguments.error;
  std::string out = arguments.command;
  for (const std::string& word : arguments.positional) out += " " + word;
  out += ":";
  for (const GivenFlag& flag : arguments.flags) {
    out += " " + flag.spec->Display();
    if (!flag.spec->argument.empty()) out += "=" + flag.value;
  }
  if (arguments.diff) out += " diff";
  if (!arguments.format.empty()) out += " format " + arguments.format;
  return out;
}

TEST(Flags, TableSetsKeysThatThereAre) {
  std::set<std::string> forms;
  for (const FlagSpec& flag : Flags()) {
    EXPECT_FALSE(flag.letters.empty() && flag.name.empty());
    for (const char letter : flag.letters) EXPECT_TRUE(forms.insert({letter}).second) << letter;
    if (!flag.name.empty()) {
      EXPECT_TRUE(forms.insert(std::string(flag.name)).second) << flag.name;
    }
    EXPECT_FALSE(flag.meaning.empty() || flag.group.empty()) << flag.Display();
    if (!flag.path.empty()) {
      EXPECT_NE(FindConfigKey(flag.path), nullptr) << flag.path;
    }
    EXPECT_TRUE(flag.value.empty() || flag.argument.empty()) << flag.Display();
  }
}

TEST(Flags, AreReadInTheirOrder) {
  const struct {
    std::vector<std::string> words;
    const char* result;
  } kCases[] = {
      {{}, ":"},
      {{"-b", "a:1", "-p", "80", "--backend", "b:2"}, ": --backend=a:1 --port=80 --backend=b:2"},
      {{"--port=80"}, ": --port=80"},
      {{"-p80"}, ": --port=80"},
      {{"-p", "80", "-p", "81"}, ": --port=80 --port=81"},
      {{"-c", "x", "-f", "y", "--config", "z"}, ": --config=x --config=y --config=z"},
      {{"-dt"}, ": --daemon -t"},
      {{"-g", "a.b=c=d", "-g", "e="}, ": -g=a.b=c=d -g=e="},
      {{"--no-health-check"}, ": --no-health-check"},
      {{"start", "random", "a:1", "b:2", "-p", "80"}, "start random a:1 b:2: --port=80"},
      {{"-p", "80", "start", "random", "a:1"}, "start random a:1: --port=80"},
      {{"validate", "-f", "x", "--diff"}, "validate: --config=x diff"},
      {{"example", "--format", "ini"}, "example: format ini"},
      {{"info"}, "info:"},
      {{"demo", "--", "x"}, "demo x:"},
      {{"-b", "", "-a", ""}, ": --backend= --algorithm="},
  };
  for (const auto& test : kCases) EXPECT_EQ(Described(test.words), test.result);
}

TEST(Flags, WrongUsageIsExplained) {
  const struct {
    std::vector<std::string> words;
    const char* error;
  } kCases[] = {
      {{"--algoritm", "random"}, "! unknown flag \"--algoritm\" (did you mean \"--algorithm\"?)"},
      {{"--prot=80"}, "! unknown flag \"--prot\" (did you mean \"--port\"?)"},
      {{"--frobnicate"}, "! unknown flag \"--frobnicate\" (see ultrabalancer -h)"},
      {{"-x"}, "! unknown flag \"-x\" (see ultrabalancer -h)"},
      {{"-b"}, "! --backend needs a value (HOST:PORT[:WEIGHT])"},
      {{"--port"}, "! --port needs a value (PORT)"},
      {{"-s"}, "! -s needs a value (SIGNAL)"},
      {{"--daemon=yes"}, "! --daemon takes no value (see ultrabalancer -h)"},
      {{"strat"}, "! unknown command \"strat\" (did you mean \"start\"?)"},
      {{"127.0.0.1:80"}, "! unknown command \"127.0.0.1:80\" (backends are given with -b)"},
      {{"nonsense"}, "! unknown command \"nonsense\" (see ultrabalancer -h)"},
      {{"a\x1b[31m"}, "! unknown command \"a\\x1b[31m\" (see ultrabalancer -h)"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Described(test.words), test.error);
}

}  // namespace
}  // namespace ub
