#include "core/config_ini.h"

#include <fmt/format.h>
#include <ini.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "core/config_text.h"

namespace ub {
namespace {

// inih cuts what is longer than its buffers without a word; these lie safely below them and are
// refused here.
constexpr size_t kMaxLine = 16 * 1024;
constexpr size_t kMaxSection = 48;
constexpr size_t kMaxName = 48;
// Sections and keys, those of sane backends aside. Each is looked for among those before it, so
// that a file of megabytes would hold a reload up for minutes.
constexpr size_t kMaxKeys = 10000;

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\f\v");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\f\v") - begin + 1);
}

// Feeds inih line by line, so that it is known where each thing stood, and gathers what inih hands
// back.
class IniReader {
 public:
  IniReader(std::string_view text, const std::string& name, ConfigProblems* problems)
      : rest_(text), source_(std::make_shared<const std::string>(name)), problems_(problems) {
    root_ = ConfigNode::Mapping(SourcePosition{source_, 1, 1});
  }
  ConfigNode Run();

 private:
  static char* ReadLine(char* out, int size, void* self);
  static int Handle(void* self, const char* section, const char* name, const char* value);
  // The next line that inih may see; sets line_. False at the end.
  bool NextLine();
  bool CheckLine();
  void BeginSection(std::string_view name, const SourcePosition& position);
  void Add(std::string_view name, std::string_view value);
  bool Unquote(std::string_view value, const SourcePosition& position, ConfigNode* out);
  SourcePosition At(size_t column) const {
    return SourcePosition{source_, number_, static_cast<uint32_t>(column + 1)};
  }
  void Problem(size_t column, std::string text) {
    problems_->push_back({At(column), std::move(text)});
  }
  // The mapping that the current section fills; null where the section is wrong.
  ConfigNode* Target();

  std::string_view rest_;
  std::shared_ptr<const std::string> source_;
  ConfigProblems* problems_;
  ConfigNode root_;
  std::string_view line_;
  uint32_t number_ = 0;
  size_t keys_ = 0;
  std::string section_;  // dotted path, empty: top level
  uint32_t section_line_ = 0;
  bool in_backend_ = false;   // the section is the last item of `backends`
  bool section_bad_ = false;  // its keys are skipped
  std::set<std::string> seen_;
};

bool IniReader::CheckLine() {
  const std::string_view text = Trim(line_);
  const size_t indent = text.empty() ? 0 : static_cast<size_t>(text.data() - line_.data());
  if (text.empty() || text[0] == '#' || text[0] == ';') return false;
  if (line_.size() > kMaxLine) {
    Problem(kMaxLine, fmt::format("the line is too long (at most {} bytes)", kMaxLine));
    return false;
  }
  if (text[0] == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
      Problem(indent, "the section has no \"]\" (write \"[name]\")");
      section_bad_ = true;
      return false;
    }
    const std::string_view after = Trim(text.substr(end + 1));
    if (!after.empty() && after[0] != ';' && after[0] != '#') {
      Problem(indent + end + 1, "nothing may follow the \"]\" of a section");
    }
    const std::string_view name = Trim(text.substr(1, end - 1));
    if (end - 1 > kMaxSection) {
      Problem(indent,
              fmt::format("the section's name is too long (at most {} bytes)", kMaxSection));
      section_bad_ = true;
      return false;
    }
    BeginSection(name, At(indent));
    return true;
  }
  const size_t separator = text.find_first_of("=:");
  // What comes after a blank and a semicolon is a comment.
  const size_t comment = std::min(text.find(" ;"), text.find("\t;"));
  if (separator == std::string_view::npos || comment < separator) {
    // Only the first word: what follows may be a secret.
    Problem(indent, fmt::format("\"{}\" has no value (write \"key = value\")",
                                Printable(text.substr(0, text.find_first_of(" \t")), 40)));
    return false;
  }
  if (Trim(text.substr(0, separator)).empty()) {
    Problem(indent, "the key is missing (write \"key = value\")");
    return false;
  }
  if (Trim(text.substr(0, separator)).size() > kMaxName) {
    Problem(indent, fmt::format("the key is too long (at most {} bytes)", kMaxName));
    return false;
  }
  return true;
}

bool IniReader::NextLine() {
  while (!rest_.empty() && keys_ <= kMaxKeys) {
    const size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    if (!CheckLine()) continue;
    const bool small_backend = in_backend_ && Target() != nullptr && Target()->entries.size() < 64;
    if (small_backend || ++keys_ <= kMaxKeys) return true;
    Problem(0, fmt::format("too many keys (at most {}; is it a configuration?)", kMaxKeys));
  }
  return false;
}

char* IniReader::ReadLine(char* out, int size, void* self) {
  IniReader* reader = static_cast<IniReader*>(self);
  if (!reader->NextLine()) return nullptr;
  const std::string_view line = reader->line_;
  if (size < 2 || line.size() + 2 > static_cast<size_t>(size)) return nullptr;
  std::memcpy(out, line.data(), line.size());
  out[line.size()] = '\n';
  out[line.size() + 1] = '\0';
  return out;
}

void IniReader::BeginSection(std::string_view name, const SourcePosition& position) {
  in_backend_ = false;
  section_bad_ = false;
  section_ = std::string(name);
  section_line_ = number_;
  const std::string_view first = name.substr(0, name.find_first_of(" \t"));
  if (first == "backend") {
    ConfigNode* list = root_.Find("backends");
    if (list == nullptr) {
      root_.Set("backends", ConfigNode::Sequence(position));
      list = root_.Find("backends");
    }
    if (!list->IsSequence()) {
      problems_->push_back(
          {position, "backends are given twice (as \"backends =\" and as a section)"});
      section_bad_ = true;
      return;
    }
    ConfigNode backend = ConfigNode::Mapping(position);
    std::string_view label = Trim(name.substr(first.size()));
    if (label.size() >= 2 && label.front() == '"' && label.back() == '"') {
      label = label.substr(1, label.size() - 2);
    }
    if (!label.empty()) {
      if (!seen_.insert("[backend " + std::string(label)).second) {
        problems_->push_back(
            {position, fmt::format("\"[backend {}]\" is given twice", Printable(label))});
      }
      ConfigNode text = ConfigNode::Untyped(std::string(label), position);
      text.quoted = true;
      backend.Set("name", std::move(text));
    }
    list->items.push_back(std::move(backend));
    in_backend_ = true;
    return;
  }
  if (name.empty()) {
    problems_->push_back({position, "the section has no name (write \"[name]\")"});
    section_bad_ = true;
  } else if (!seen_.insert("[" + section_).second) {
    problems_->push_back({position, fmt::format("\"[{}]\" is given twice", Printable(name))});
  } else if (root_.FindPath(section_) == nullptr &&
             !root_.SetPath(section_, ConfigNode::Mapping(position))) {
    problems_->push_back(
        {position, fmt::format("\"[{}]\" is in conflict with a value above", Printable(name))});
    section_bad_ = true;
  }
}

ConfigNode* IniReader::Target() {
  if (section_bad_) return nullptr;
  if (in_backend_) return &root_.Find("backends")->items.back();
  if (section_.empty()) return &root_;
  const ConfigNode* node = root_.FindPath(section_);
  return node != nullptr && node->IsMapping() ? const_cast<ConfigNode*>(node) : nullptr;
}

bool IniReader::Unquote(std::string_view value, const SourcePosition& position, ConfigNode* out) {
  *out = ConfigNode::Untyped(std::string(value), position);
  if (value.empty()) {
    out->quoted = true;  // `api_key =` is the empty text
    return true;
  }
  if (value.front() != '"') return true;
  // From the line itself: inih takes a ";" after a blank for a comment even inside the quotes.
  const std::string_view raw = line_.substr(position.column - 1);
  std::string text;
  size_t i = 1;
  for (; i < raw.size() && raw[i] != '"'; ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size() && (raw[i + 1] == '"' || raw[i + 1] == '\\')) ++i;
    text += raw[i];
  }
  if (i >= raw.size()) {
    problems_->push_back({position, "the quote is not closed"});
    return false;
  }
  const std::string_view after = Trim(raw.substr(i + 1));
  // `"a", "b"` is a list of quoted texts and stays as it is for the list to split.
  if (!after.empty() && after[0] != ';') return true;
  out->text = std::move(text);
  out->quoted = true;
  return true;
}

void IniReader::Add(std::string_view name, std::string_view value) {
  ConfigNode* target = Target();
  if (target == nullptr) return;
  const size_t separator = line_.find_first_of("=:");
  const size_t name_column = std::min(line_.find_first_not_of(" \t"), line_.size());
  size_t value_column = line_.find_first_not_of(" \t\r", separator + 1);
  if (value_column == std::string_view::npos) value_column = line_.size();
  ConfigNode node;
  if (!Unquote(value, At(value_column), &node)) return;
  const bool dotted = section_.empty() && name.find('.') != std::string_view::npos;
  const ConfigNode* before = dotted ? target->FindPath(name) : target->Find(name);
  // The name that `[backend NAME]` gave yields to a `name =` of its own.
  const bool from_section =
      before != nullptr && in_backend_ && before->position.line == section_line_;
  if (before != nullptr && !from_section) {
    Problem(name_column, fmt::format("\"{}\" is given twice (first at line {})", Printable(name),
                                     before->position.line));
    return;
  }
  if (dotted) {
    if (!target->SetPath(name, std::move(node))) {
      Problem(name_column,
              fmt::format("\"{}\" is in conflict with a value above", Printable(name)));
    }
    return;
  }
  target->Set(name, std::move(node));
  for (ConfigEntry& entry : target->entries) {
    if (entry.key == name) entry.position = At(name_column);
  }
}

int IniReader::Handle(void* self, const char* /*section*/, const char* name, const char* value) {
  if (name != nullptr) {
    static_cast<IniReader*>(self)->Add(name, value == nullptr ? std::string_view() : value);
  }
  return 1;
}

ConfigNode IniReader::Run() {
  // Debian's inih takes its limits from these globals. Configuration is read by one thread of one
  // process.
  ini_allow_multiline = false;
  ini_use_stack = false;
  ini_allow_realloc = true;
  ini_max_line = static_cast<int>(kMaxLine) + 64;
  ini_initial_alloc = ini_max_line;
  const int result = ini_parse_stream(&IniReader::ReadLine, this, &IniReader::Handle, this);
  if (result < 0) problems_->push_back({root_.position, "out of memory"});
  return std::move(root_);
}

}  // namespace

ConfigNode ParseIni(std::string_view text, const std::string& name, ConfigProblems* problems) {
  return IniReader(text, name, problems).Run();
}

}  // namespace ub
