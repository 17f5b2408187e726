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
#include <utility>

#include "cli/completion.h"
#include "cli/flags.h"
#include "core/config_keys.h"
#include "core/config_print.h"
#include "http/management_service.h"
#include "http/metrics_prometheus.h"

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
  const bool value = out.find(':') < out.find(' ');  // "tcp: connect": a word of the file
  if (!value) out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out + ".\n";
}

// What a value may be, without making other words of its values.
std::string TypeSentence(const ConfigKey& key) {
  const std::string type = DescribeType(key);
  if (type.find(" | ") == std::string::npos || type.starts_with("list of")) return Sentence(type);
  std::string out = "One of\n";
  std::string_view rest = type;
  while (!rest.empty()) {
    const size_t bar = rest.find(" | ");
    const bool last = bar == std::string_view::npos;
    out += fmt::format(".Ql {} {}\n", rest.substr(0, bar), last ? "." : ",");
    rest.remove_prefix(last ? rest.size() : bar + 3);
  }
  return out;
}

std::string ManualOfKey(const ConfigKey& key) {
  const std::string value = DefaultKeyValue(key).ToString();
  std::string out = fmt::format(".It Va {}\n{}", key.path, Sentence(key.meaning));
  out += TypeSentence(key);
  if (!value.empty() && key.type != KeyType::kListenList) {
    out += fmt::format("The default is\n.Ql {} .\n", value);
  }
  out += fmt::format("In the environment:\n.Ev {} .\n", EnvironmentName(key));
  if (!key.reloadable) out += "A change needs a restart.\n";
  return out;
}

// One section's part of a printed configuration: from its heading to the next one, without blank
// lines at its ends.
std::string SectionText(const std::string& printed, ConfigFormat format,
                        const std::string& section) {
  std::istringstream lines(printed);
  std::string out, current;
  const bool yaml = format == ConfigFormat::kYaml;
  for (std::string line; std::getline(lines, line);) {
    if (!yaml && line.starts_with('[')) current = line.substr(1, line.find(']') - 1);
    if (yaml && !line.empty() && line[0] != ' ') {
      const bool heading = line.ends_with(':') && line != "backends:";
      current = heading ? line.substr(0, line.size() - 1) : "";
    }
    if (yaml && line == "backends:") current = "backends";
    const bool wanted =
        current == section || (!yaml && !section.empty() && current.starts_with(section + "."));
    if (wanted && !line.empty()) out += line + "\n";
  }
  return out;
}

// Every key of a section with a value, in the three formats.
std::string ManualOfExamples(const std::string& section) {
  if (section.find('.') != std::string::npos) return {};  // shown with the section around it
  Config config = ExampleConfig();
  config.admin.port_given = true;
  std::string out;
  for (const auto& [name, format] :
       {std::pair("YAML", ConfigFormat::kYaml), std::pair("TOML", ConfigFormat::kToml),
        std::pair("INI", ConfigFormat::kIni)}) {
    PrintOptions options;
    options.format = format;
    options.secrets = true;
    std::string text = SectionText(PrintConfig(config, options), format, section);
    for (size_t at = 0; (at = text.find('\\', at)) != std::string::npos; at += 2)
      text.insert(at, "\\");
    out += fmt::format(".Pp\nIn {}:\n.Bd -literal -offset indent\n{}.Ed\n", name, text);
  }
  return out;
}

// The list of keys of ultrabalancer.yaml(5), section by section.
std::string ManualOfKeys() {
  std::string out, section = "-";
  for (const ConfigKey& key : ConfigKeys()) {
    const size_t dot = key.path.rfind('.');
    const std::string own(dot == std::string_view::npos ? "" : key.path.substr(0, dot));
    if (own != section) {
      if (section != "-") out += ".El\n" + ManualOfExamples(section);
      out += fmt::format(".Ss {}\n.Bl -tag -width Ds\n", own.empty() ? "Top level" : own);
      section = own;
    }
    out += ManualOfKey(key);
  }
  out += ".El\n" + ManualOfExamples(section) + ".Ss One of backends\n.Bl -tag -width Ds\n";
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

// The names of the labels of a sample, in order; "le" belongs to the format.
std::string LabelsOf(const std::string& sample) {
  std::string out;
  const size_t open = sample.find('{');
  for (size_t at = open; at != std::string::npos && sample[at] != '}';) {
    const size_t equals = sample.find("=\"", at);
    const std::string name = sample.substr(at + 1, equals - at - 1);
    if (name != "le") out += (out.empty() ? "" : " , ") + name;
    at = sample.find('"', equals + 2) + 1;  // no value here has one in it
  }
  return out;
}

// Every metric of a running instance, each with its type, meaning and labels.
std::string ManualOfMetrics() {
  MetricsSnapshot snapshot;
  snapshot.certificates = {{"a.pem", "a.example", 0}};
  snapshot.workers.emplace_back();
  snapshot.backends.emplace_back();
  std::istringstream lines(MetricsPrometheus(snapshot, "random"));
  std::string out, help;
  bool first = false;  // sample of its metric
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, word, name, rest;
    words >> hash >> word >> name;
    std::getline(words >> std::ws, rest);
    if (word == "HELP" && hash == "#") {
      help = rest;
    } else if (word == "TYPE" && hash == "#") {
      out += fmt::format(".It Li {}\n{}:\n{}\n", name,
                         static_cast<char>(std::toupper(rest[0])) + rest.substr(1), help);
      first = true;
    } else if (std::exchange(first, false)) {
      const std::string labels = LabelsOf(line);
      if (!labels.empty()) out += fmt::format("By\n.Va {} .\n", labels);
    }
  }
  return out;
}

TEST(ShippedFiles, TheManualHasEveryMetric) {
  const std::string path = "man/ultrabalancer-api.7", page = ReadShipped(path);
  const std::string begin = ".\\\" Metrics, as `make generate` writes them.\n",
                    end = ".\\\" End of metrics.\n";
  const size_t from = page.find(begin), to = page.find(end);
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos)
      << path << " has lost its marks";
  Expect(path, page.substr(0, from) + begin + ManualOfMetrics() + page.substr(to));
}

TEST(ShippedFiles, TheManualHasEveryRequest) {
  const std::string page = ReadShipped("man/ultrabalancer-api.7");
  for (const std::string& route : HttpManagement::RouteNames()) {
    if (route.starts_with("GET /dashboard/")) continue;  // the page's own files
    EXPECT_NE(page.find("Li " + route), std::string::npos) << route;
  }
}

// ".It Fl w , Fl -weight Ar weight": each form of each flag begins an item, and each command too.
TEST(ShippedFiles, TheManualHasEveryFlagAndCommand) {
  std::istringstream lines(ReadShipped("man/ultrabalancer.8"));
  std::string items;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(".It ")) items += line.substr(4) + " , ";
  }
  for (const FlagSpec& flag : Flags()) {
    for (const char letter : flag.letters) {
      EXPECT_NE(items.find(fmt::format("Fl {} ", letter)), std::string::npos) << flag.Display();
    }
    if (flag.name.empty()) continue;
    EXPECT_NE(items.find(fmt::format("Fl -{} ", flag.name)), std::string::npos) << flag.Display();
  }
  for (const CommandSpec& command : Commands()) {
    EXPECT_NE(items.find(fmt::format("Cm {} ", command.name)), std::string::npos) << command.name;
  }
  for (const std::string_view name : Choices(*FindConfigKey("algorithm"))) {
    EXPECT_NE(items.find(fmt::format("Cm {} ", name)), std::string::npos) << name;
  }
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
