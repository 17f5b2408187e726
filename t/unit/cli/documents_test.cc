// The documents' configurations are tried: what they show in YAML is good, and what
// docs/migrating.md shows of nginx and HAProxy becomes what stands below it. Files that they name are there.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "core/config_bind.h"
#include "core/config_load.h"

namespace ub {
namespace {

struct Snippet {
  std::string language, text, place;
};

// The fenced blocks of a document, in order; a heading is a snippet of the language "#".
std::vector<Snippet> SnippetsOf(const std::string& document) {
  const char* root = std::getenv("UB_SRCDIR");
  std::ifstream file((root != nullptr ? std::string(root) : ".") + "/" + document);
  EXPECT_TRUE(file.good()) << document;
  std::vector<Snippet> snippets;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("```")) {
      if (!inside) snippets.push_back({line.substr(3), "", fmt::format("{}:{}", document, number)});
      inside = !inside;
    } else if (inside) {
      snippets.back().text += line + "\n";
    } else if (line.starts_with("#")) {
      snippets.push_back({"#", "", ""});
    }
  }
  EXPECT_FALSE(inside) << document;
  return snippets;
}

Config Bound(const std::string& yaml, const std::string& place) {
  ConfigProblems problems;
  BindResult bound = BindConfig(ParseConfigText(ConfigFormat::kYaml, yaml, place, &problems), {});
  std::ranges::move(bound.problems, std::back_inserter(problems));
  for (const ConfigProblem& problem : problems) ADD_FAILURE() << problem.ToString();
  return bound.config;
}

// What decides where requests go: listeners, algorithm, backends with their share in 1/1000.
std::string Heart(const Config& config) {
  std::string out;
  for (const ListenConfig& listen : config.listen) out += listen.text + " ";
  out += config.algorithm + " " + config.hash_key + "\n";
  uint32_t sum = 0;
  for (const BackendConfig& backend : config.backends) sum += backend.weight;
  for (const BackendConfig& backend : config.backends) {
    out += fmt::format("{} {} {} {}\n", backend.AddressText(), backend.weight * 1000 / sum,
                       backend.max_connections, backend.backup);
  }
  return out;
}

TEST(Documents, ShowGoodConfigurations) {
  size_t seen = 0;
  for (const char* document : {"README.md", "docs/migrating.md", "docs/grpc.md"}) {
    for (const Snippet& snippet : SnippetsOf(document)) {
      if (snippet.language != "yaml") continue;
      Bound(snippet.text, snippet.place);
      ++seen;
    }
  }
  EXPECT_GE(seen, 6u);
}

TEST(Documents, NginxAndHaproxyBecomeWhatStandsBelowThem) {
  std::vector<Snippet> waiting;
  size_t compared = 0;
  for (const Snippet& snippet : SnippetsOf("docs/migrating.md")) {
    if (snippet.language == "#") waiting.clear();
    if (snippet.language == "nginx" || snippet.language == "haproxy") waiting.push_back(snippet);
    if (snippet.language != "yaml") continue;
    const std::string ours = Heart(Bound(snippet.text, snippet.place));
    for (const Snippet& theirs : waiting) {
      const auto known = [](const std::string&) { return true; };
      const ImportResult result = ImportConfig({.file = theirs.place,
                                                .from = theirs.language,
                                                .follow_includes = false,
                                                .has_user = known,
                                                .has_group = known},
                                               theirs.text);
      EXPECT_EQ(fmt::format("{}", fmt::join(result.faults, "\n")), "");
      EXPECT_EQ(Heart(Bound(result.yaml, theirs.place)), ours) << theirs.place;
      ++compared;
    }
    waiting.clear();
  }
  EXPECT_GE(compared, 10u);
}

// What a document names by its path, in a link or as `src/…`, is there.
TEST(Documents, NameFilesThatAreThere) {
  namespace fs = std::filesystem;
  const char* variable = std::getenv("UB_SRCDIR");
  const fs::path root = variable != nullptr ? variable : ".";
  std::vector<fs::path> documents = {root / "README.md", root / "CONTRIBUTING.md"};
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") documents.push_back(entry.path());
  }
  const std::regex link("\\]\\(([^)#:]+)(#[^)]*)?\\)"), path("`((src|t|build|conf|man)/[A-Za-z0-9_./-]*[a-z0-9])[ `]");
  size_t seen = 0;
  for (const fs::path& document : documents) {
    std::stringstream content;
    content << std::ifstream(document).rdbuf();
    const std::string text = content.str();
    for (const auto& [pattern, from] :
         {std::pair(&link, document.parent_path()), std::pair(&path, root)}) {
      for (std::sregex_iterator it(text.begin(), text.end(), *pattern), end; it != end; ++it) {
        const std::string name = (*it)[1];
        if (name.find("NAME") != std::string::npos) continue;  // to be filled in
        EXPECT_TRUE(fs::exists(from / name)) << document << " names " << name;
        ++seen;
      }
    }
  }
  EXPECT_GE(seen, 50u);
}

}  // namespace
}  // namespace ub
