#include "cli/import_haproxy_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <system_error>
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
  // The words without quotes, and their columns.
  void Split(HaproxyLine* out);

 private:
  void TakeQuoted(char quote);
  // What stands behind a backslash, outside quotes and between double ones.
  void TakeEscape();

  std::string_view line_;
  std::string* fault_;
  size_t at_ = 0;
  std::string word_;
};

void LineLexer::TakeEscape() {
  const char c = at_ < line_.size() ? line_[at_++] : '\\';
  if (c == 'n' || c == 'r' || c == 't') {
    word_ += c == 'n' ? '\n' : c == 'r' ? '\r' : '\t';
  } else if (c == 'x' && at_ + 2 <= line_.size()) {
    int byte = 0;
    const auto [end, error] = std::from_chars(line_.data() + at_, line_.data() + at_ + 2, byte, 16);
    const bool good = error == std::errc() && end == line_.data() + at_ + 2 && byte != 0;
    if (good) at_ += 2;
    word_ += good ? std::string(1, static_cast<char>(byte)) : "\\x";
  } else {
    if (std::string_view(" #\\\"'$").find(c) == std::string_view::npos) word_ += '\\';
    word_ += c;
  }
}

void LineLexer::TakeQuoted(char quote) {
  while (at_ < line_.size()) {
    const char c = line_[at_++];
    if (c == quote) return;
    if (c == '\\' && quote == '"') {
      TakeEscape();
    } else {
      word_ += c;
    }
  }
  *fault_ = fmt::format("the quote {} has no end", quote);
}

void LineLexer::Split(HaproxyLine* out) {
  bool open = false;
  while (at_ < line_.size()) {
    const char c = line_[at_];
    if (c == '#') break;
    ++at_;
    if (c == ' ' || c == '\t' || c == '\r') {
      if (open) out->words.push_back(std::exchange(word_, {}));
      open = false;
      continue;
    }
    if (!open) out->columns.push_back(static_cast<uint32_t>(at_));
    open = true;
    if (c == '"' || c == '\'') {
      TakeQuoted(c);
    } else if (c == '\\') {
      TakeEscape();
    } else {
      word_ += c;
    }
  }
  if (open) out->words.push_back(std::move(word_));
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

SourcePosition HaproxyLine::ArgAt(size_t i) const {
  SourcePosition place = at;
  if (i + 1 < columns.size()) place.column = columns[i + 1];
  return place;
}

std::string HaproxyLine::Text() const { return fmt::format("{}", fmt::join(words, " ")); }

const HaproxyLine* HaproxySection::Find(std::string_view keyword) const {
  for (const HaproxySection* from = this; from != nullptr; from = from->defaults) {
    for (auto line = from->lines.rbegin(); line != from->lines.rend(); ++line) {
      if (line->name() == keyword) return &*line;
    }
  }
  return nullptr;
}

bool HaproxySection::IsDisabled() const {
  for (const HaproxySection* from = this; from != nullptr; from = from->defaults) {
    for (auto line = from->lines.rbegin(); line != from->lines.rend(); ++line) {
      if (line->name() == "disabled" || line->name() == "enabled")
        return line->name() == "disabled";
    }
  }
  return false;
}

bool HaproxySection::IsHttp() const {
  const HaproxyLine* mode = Find("mode");
  return mode != nullptr && mode->arg(0) == "http";
}

std::string_view HaproxySection::DefaultBackend() const {
  const HaproxyLine* line = Find("default_backend");
  return line == nullptr ? std::string_view() : line->arg(0);
}

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
    HaproxyLine read{at, {}};
    if (fault.empty()) LineLexer(line, &fault).Split(&read);
    if (!fault.empty()) {
      draft->Fault(at, fault);
      return sections;
    }
    if (read.words.empty()) continue;
    const std::string& first_word = read.name();
    if (std::ranges::find(kKinds, std::string_view(first_word)) != std::end(kKinds)) {
      sections.push_back({std::move(read), {}, nullptr});
    } else if (first_word.starts_with('.')) {
      draft->Remark(at, fmt::format("\"{}\": conditions were not followed, all lines were read",
                                    ImportText(first_word)));
    } else if (sections.empty()) {
      draft->Fault(at, fmt::format("\"{}\" stands in no section (global, defaults, frontend, "
                                   "backend, listen)",
                                   ImportText(first_word)));
      return sections;
    } else {
      sections.back().lines.push_back(std::move(read));
    }
  }
  LinkDefaults(&sections, draft);
  return sections;
}

}  // namespace ub
