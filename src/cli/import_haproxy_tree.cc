#include "cli/import_haproxy_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace ub {
namespace {

constexpr size_t kMaxLines = 200'000;

// Sections that are proxies, or that proxies inherit from; and the others that there are.
constexpr std::string_view kKinds[] = {
    "global",   "defaults",  "frontend", "backend", "listen",      "peers", "resolvers",
    "userlist", "mailers",   "cache",    "program", "http-errors", "ring",  "log-forward",
    "fcgi-app", "crt-store", "traces",   "acme",    "crt-list"};

// Splits one line. `fault` is set where a quote has no end.
class LineLexer {
 public:
  LineLexer(std::string_view line, std::string* fault) : line_(line), fault_(fault) {}
  std::vector<std::string> Words();

 private:
  void TakeQuoted(char quote);

  std::string_view line_;
  std::string* fault_;
  size_t at_ = 0;
  std::string word_;
};

void LineLexer::TakeQuoted(char quote) {
  while (at_ < line_.size()) {
    char c = line_[at_++];
    if (c == quote) return;
    if (c == '\\' && quote == '"' && at_ < line_.size()) c = line_[at_++];
    word_ += c;
  }
  *fault_ = fmt::format("the quote {} has no end", quote);
}

std::vector<std::string> LineLexer::Words() {
  std::vector<std::string> words;
  bool open = false;
  while (at_ < line_.size()) {
    const char c = line_[at_];
    if (c == '#') break;
    ++at_;
    if (c == ' ' || c == '\t' || c == '\r') {
      if (open) words.push_back(std::exchange(word_, {}));
      open = false;
      continue;
    }
    open = true;
    if (c == '"' || c == '\'') {
      TakeQuoted(c);
    } else if (c == '\\' && at_ < line_.size()) {
      const char escaped = line_[at_++];
      word_ += escaped == 'n' ? '\n' : escaped == 'r' ? '\r' : escaped == 't' ? '\t' : escaped;
    } else {
      word_ += c;
    }
  }
  if (open) words.push_back(std::move(word_));
  return words;
}

// Which defaults each proxy inherits: those it names, or the last ones before it.
void LinkDefaults(std::vector<HaproxySection>* sections, ImportDraft* draft) {
  const HaproxySection* last = nullptr;
  for (HaproxySection& section : *sections) {
    section.defaults = last;
    const auto from = std::ranges::find(section.head.words, "from");
    if (from != section.head.words.end() && from + 1 != section.head.words.end()) {
      const auto named = std::ranges::find_if(*sections, [&](const HaproxySection& other) {
        return other.kind() == "defaults" && other.name() == *(from + 1);
      });
      // One that inherits from itself, or from a later one, inherits nothing.
      if (named != sections->end() && &*named < &section) {
        section.defaults = &*named;
      } else {
        draft->Fault(section.head.at,
                     fmt::format("there is no \"defaults {}\" before it", ImportText(*(from + 1))));
      }
    } else if (section.kind() == "defaults") {
      section.defaults = nullptr;
    }
    if (section.kind() == "defaults") last = &section;
  }
}

}  // namespace

std::string HaproxyLine::Text() const { return fmt::format("{}", fmt::join(words, " ")); }

std::vector<HaproxySection> ReadHaproxy(std::string_view text, const std::string& file,
                                        ImportDraft* draft) {
  const auto source = std::make_shared<const std::string>(file);
  std::vector<HaproxySection> sections;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (uint32_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    SourcePosition at{source, number, 1};
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    at.column = static_cast<uint32_t>(first + 1);
    std::string fault;
    if (line.find('\0') != std::string_view::npos) {
      fault = "the file has a NUL byte (is it a configuration?)";
    } else if (number > kMaxLines) {
      fault = "there are more than 200000 lines";
    }
    std::vector<std::string> words;
    if (fault.empty()) words = LineLexer(line, &fault).Words();
    if (!fault.empty()) {
      draft->Fault(at, fault);
      return sections;
    }
    if (words.empty()) continue;
    const bool is_head = std::ranges::find(kKinds, std::string_view(words[0])) != std::end(kKinds);
    if (is_head) {
      sections.push_back({{at, std::move(words)}, {}, nullptr});
    } else if (words[0].starts_with('.')) {
      draft->Remark(at, fmt::format("\"{}\": conditions were not followed, all lines were read",
                                    ImportText(words[0])));
    } else if (sections.empty()) {
      draft->Fault(at, fmt::format("\"{}\" stands in no section (global, defaults, frontend, "
                                   "backend, listen)",
                                   ImportText(words[0])));
      return sections;
    } else {
      sections.back().lines.push_back({at, std::move(words)});
    }
  }
  LinkDefaults(&sections, draft);
  return sections;
}

}  // namespace ub
