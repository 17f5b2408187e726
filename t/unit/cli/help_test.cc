#include "cli/help.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/flags.h"
#include "core/config_keys.h"

namespace ub {
namespace {

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Help, FitsATerminalAndNamesEverything) {
  const std::string help = HelpText();
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  for (const FlagSpec& flag : Flags()) {
    EXPECT_TRUE(Contains(help, flag.meaning)) << flag.Display();
    EXPECT_TRUE(Contains(help, "\n" + std::string(flag.group) + ":\n")) << flag.group;
    for (const char letter : flag.letters) EXPECT_TRUE(Contains(help, std::string("-") + letter));
    if (!flag.name.empty()) {
      EXPECT_TRUE(Contains(help, "--" + std::string(flag.name) + " ") ||
                  Contains(help, "--" + std::string(flag.name) + "\n"));
    }
  }
  for (const CommandSpec& command : Commands()) EXPECT_TRUE(Contains(help, command.meaning));
  const size_t at = help.find("\nAlgorithms:\n");
  ASSERT_NE(at, std::string::npos);
  std::istringstream words(help.substr(at, help.find("\n\n", at) - at));
  std::string word;
  words >> word;
  for (const std::string_view name : Choices(*FindConfigKey("algorithm"))) {
    EXPECT_TRUE(words >> word && word == name) << name;
  }
  EXPECT_FALSE(words >> word) << word;
}

TEST(Help, Versions) {
  const std::string brief = VersionText(false), full = VersionText(true);
  EXPECT_TRUE(brief.starts_with("ultrabalancer "));
  EXPECT_EQ(std::count(brief.begin(), brief.end(), '\n'), 1);
  EXPECT_TRUE(full.starts_with(brief));
  for (const char* part : {"compiler: ", "configure: ", "jemalloc: "}) {
    EXPECT_TRUE(Contains(full, part)) << part;
  }
}

TEST(Help, InfoTellsLibrariesAlgorithmsAndEveryKeyWithItsDefault) {
  const std::string info = InfoText();
  for (const char* part : {"libyaml: ", "toml++: ", "\nshared memory: ", "\nAlgorithms:\n", "ip-hash"}) {
    EXPECT_TRUE(Contains(info, part)) << part;
  }
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string start = fmt::format("\n  {} ", key.path);
    const size_t at = info.find(start);
    ASSERT_NE(at, std::string::npos) << key.path;
    const std::string line = info.substr(at + 1, info.find('\n', at + 1) - at - 1);
    const std::string value = DefaultKeyValue(key).ToString();
    if (!value.empty()) {
      EXPECT_TRUE(line.ends_with(" " + value)) << line;
    }
  }
}

}  // namespace
}  // namespace ub
