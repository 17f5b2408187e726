// What is shipped is what the program's own tables say. After a change of a flag or a key, `make
// generate` writes it anew: it runs these tests with UB_REGENERATE set.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "cli/completion.h"
#include "core/config_keys.h"
#include "core/config_print.h"

namespace ub {
namespace {

constexpr const char* kHint = " is not what the tables say: run `make generate`";

std::string Shipped(const std::string& path) {
  const char* root = std::getenv("UB_SRCDIR");
  return (root != nullptr ? std::string(root) : ".") + "/" + path;
}

std::string ReadShipped(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(Shipped(path)).rdbuf();
  return text.str();
}

// Holds the file to `text`, or writes it.
void Expect(const std::string& path, const std::string& text) {
  if (std::getenv("UB_REGENERATE") != nullptr) std::ofstream(Shipped(path)) << text;
  EXPECT_TRUE(ReadShipped(path) == text) << path << kHint;
}

std::string Sentence(std::string_view text) {
  std::string out(text);
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out + ".\n";
}

std::string ManualOfKey(const ConfigKey& key) {
  const std::string value = DefaultKeyValue(key).ToString();
  std::string out = fmt::format(".It Va {}\n{}", key.path, Sentence(key.meaning));
  out += Sentence(DescribeType(key));
  if (!value.empty() && key.type != KeyType::kListenList) {
    out += fmt::format("The default is\n.Ql {} .\n", value);
  }
  out += fmt::format("In the environment:\n.Ev {} .\n", EnvironmentName(key));
  if (!key.reloadable) out += "A change needs a restart.\n";
  if (!key.in_force) out += "Not in force in this version.\n";
  return out;
}

// The list of keys of ultrabalancer.yaml(5), section by section.
std::string ManualOfKeys() {
  std::string out, section = "-";
  for (const ConfigKey& key : ConfigKeys()) {
    const size_t dot = key.path.rfind('.');
    const std::string own(dot == std::string_view::npos ? "" : key.path.substr(0, dot));
    if (own != section) {
      out += section == "-" ? "" : ".El\n";
      out += fmt::format(".Ss {}\n.Bl -tag -width Ds\n", own.empty() ? "Top level" : own);
      section = own;
    }
    out += ManualOfKey(key);
  }
  out += ".El\n.Ss One of backends\n.Bl -tag -width Ds\n";
  for (const BackendKey& key : BackendKeys()) {
    out += fmt::format(".It Va {}\n{}{}", key.name, Sentence(key.meaning), Sentence(key.type));
  }
  return out + ".El\n";
}

TEST(ShippedFiles, CompletionsFollowTheTables) {
  Expect("conf/ultrabalancer.bash-completion", BashCompletionText());
  Expect("conf/ultrabalancer.zsh-completion", ZshCompletionText());
}

TEST(ShippedFiles, TheExampleIsWhatTheProgramPrints) {
  Expect("conf/ultrabalancer.yaml", PrintExample(ConfigFormat::kYaml));
}

TEST(ShippedFiles, TheManualDescribesEveryKeyAsTheTableDoes) {
  const std::string path = "man/ultrabalancer.yaml.5", page = ReadShipped(path);
  const std::string begin = ".\\\" Keys, as `make generate` writes them.\n",
                    end = ".\\\" End of keys.\n";
  const size_t from = page.find(begin), to = page.find(end);
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos)
      << path << " has lost its marks";
  Expect(path, page.substr(0, from) + begin + ManualOfKeys() + page.substr(to));
}

// The rest of the page is written by hand; what it names must be there.
TEST(ShippedFiles, TheManualNamesNoKeyThatThereIsNot) {
  std::istringstream lines(ReadShipped("man/ultrabalancer.yaml.5"));
  std::set<std::string> names;
  for (const BackendKey& key : BackendKeys()) names.emplace(key.name);
  for (std::string line; std::getline(lines, line);) {
    const bool named = line.starts_with(".Va ") || line.starts_with(".It Va ");
    if (!named) continue;
    std::istringstream words(line.substr(line.find("Va ") + 3));
    std::string key;
    words >> key;
    const bool known = FindConfigKey(key) != nullptr || IsConfigSection(key) || names.contains(key);
    EXPECT_TRUE(known) << line;
  }
}

}  // namespace
}  // namespace ub
