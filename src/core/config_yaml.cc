#include "core/config_yaml.h"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "core/config_text.h"

namespace ub {
namespace {

// One libyaml event, deleted with its scope.
class YamlEvent {
 public:
  YamlEvent() = default;
  ~YamlEvent() { Clear(); }
  YamlEvent(const YamlEvent&) = delete;
  YamlEvent& operator=(const YamlEvent&) = delete;

  bool Next(yaml_parser_t* parser) {
    Clear();
    filled_ = yaml_parser_parse(parser, &event_) == 1;
    return filled_;
  }
  const yaml_event_t& get() const { return event_; }

 private:
  void Clear() {
    if (filled_) yaml_event_delete(&event_);
    filled_ = false;
  }
  yaml_event_t event_{};
  bool filled_ = false;
};

std::string_view View(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

class YamlReader {
 public:
  YamlReader(std::string_view text, const std::string& name, ConfigProblems* problems)
      : text_(text), source_(std::make_shared<const std::string>(name)), problems_(problems) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~YamlReader() { yaml_parser_delete(&parser_); }
  YamlReader(const YamlReader&) = delete;
  YamlReader& operator=(const YamlReader&) = delete;

  ConfigNode Run();

 private:
  SourcePosition At(const yaml_mark_t& mark) const;
  void Problem(const yaml_mark_t& mark, std::string text) {
    problems_->push_back({At(mark), std::move(text)});
  }
  bool Next();
  void ParserProblem();
  // Reads the value that the current event begins. False: give up.
  bool ReadValue(int depth, ConfigNode* out);
  bool ReadSequence(int depth, ConfigNode* out);
  bool ReadMapping(int depth, ConfigNode* out);
  bool ReadKey(std::string* key);
  bool ReadScalar(ConfigNode* out);
  // Refuses anchors and tags. False: refused.
  bool CheckDecoration(const yaml_char_t* anchor, const yaml_char_t* tag);

  std::string_view text_;
  std::shared_ptr<const std::string> source_;
  ConfigProblems* problems_;
  yaml_parser_t parser_{};
  YamlEvent event_;
};

SourcePosition YamlReader::At(const yaml_mark_t& mark) const {
  return SourcePosition{source_, static_cast<uint32_t>(mark.line + 1),
                        static_cast<uint32_t>(mark.column + 1)};
}

void YamlReader::ParserProblem() {
  if (parser_.error == YAML_MEMORY_ERROR) {
    Problem(parser_.mark, "out of memory");
    return;
  }
  const std::string what = parser_.problem != nullptr ? parser_.problem : "cannot be read";
  if (parser_.error == YAML_READER_ERROR) {
    // libyaml counts bytes here, not lines.
    yaml_mark_t mark{};
    const size_t end = std::min(parser_.problem_offset, text_.size());
    for (size_t i = 0; i < end; ++i) {
      ++mark.column;
      if (text_[i] == '\n') {
        ++mark.line;
        mark.column = 0;
      }
    }
    // It is UTF-8 (config_load has looked), so this is a control character.
    Problem(mark, fmt::format("not valid YAML: {} (remove the character)", what));
    return;
  }
  std::string_view hint;
  if (what.find("cannot start any token") != std::string::npos) {
    hint = " (indent with spaces, and quote text that begins with a sign)";
  } else if (what.find("mapping values are not allowed") != std::string::npos) {
    hint = " (check the indentation and the colons)";
  } else if (what.find("could not find expected ':'") != std::string::npos) {
    hint = " (write \"key: value\")";
  } else if (what.find("did not find expected key") != std::string::npos) {
    hint = " (check the indentation, and whether a quote is not closed)";
  } else if (what.find("did not find expected ','") != std::string::npos) {
    hint = " (is a bracket not closed?)";
  } else if (what.find("unknown escape character") != std::string::npos) {
    hint = " (write \\\\ for a backslash, or use single quotes)";
  }
  Problem(parser_.problem_mark, fmt::format("not valid YAML: {}{}", what, hint));
}

bool YamlReader::Next() {
  if (event_.Next(&parser_)) return true;
  ParserProblem();
  return false;
}

bool YamlReader::CheckDecoration(const yaml_char_t* anchor, const yaml_char_t* tag) {
  const yaml_mark_t& mark = event_.get().start_mark;
  if (anchor != nullptr) {
    Problem(mark, fmt::format("YAML anchors are not taken (write the value of \"&{}\" in full)",
                              View(anchor)));
    return false;
  }
  // "!" is what libyaml reports for a scalar with the non-specific tag, every other is written by
  // hand.
  if (tag != nullptr) {
    // As it is written: libyaml puts the long form in the place of "!!".
    constexpr std::string_view kCore = "tag:yaml.org,2002:";
    std::string text(View(tag));
    if (text.starts_with(kCore)) text.replace(0, kCore.size(), "!!");
    Problem(mark, fmt::format("YAML tags are not taken (remove \"{}\")", Printable(text)));
    return false;
  }
  return true;
}

bool YamlReader::ReadScalar(ConfigNode* out) {
  const auto& scalar = event_.get().data.scalar;
  if (!CheckDecoration(scalar.anchor, scalar.tag)) return false;
  std::string text(reinterpret_cast<const char*>(scalar.value), scalar.length);
  if (text.find('\0') != std::string::npos) {
    Problem(event_.get().start_mark, "NUL bytes are not taken (remove the \"\\0\")");
    return false;
  }
  const bool quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
  if (!quoted &&
      (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")) {
    out->kind = ConfigNode::Kind::kNull;
    out->position = At(event_.get().start_mark);
    return true;
  }
  *out = ConfigNode::Scalar(std::move(text), At(event_.get().start_mark), quoted);
  return true;
}

bool YamlReader::ReadSequence(int depth, ConfigNode* out) {
  *out = ConfigNode::Sequence(At(event_.get().start_mark));
  while (Next()) {
    if (event_.get().type == YAML_SEQUENCE_END_EVENT) return true;
    out->items.emplace_back();
    if (!ReadValue(depth + 1, &out->items.back())) return false;
  }
  return false;
}

bool YamlReader::ReadKey(std::string* key) {
  const yaml_event_t& event = event_.get();
  if (event.type == YAML_ALIAS_EVENT) {
    Problem(event.start_mark, "YAML aliases are not taken (write the value in full)");
    return false;
  }
  if (event.type != YAML_SCALAR_EVENT) {
    Problem(event.start_mark, "a key must be plain text");
    return false;
  }
  ConfigNode node;
  if (!ReadScalar(&node)) return false;
  *key = node.IsNull() ? std::string(View(event.data.scalar.value)) : std::move(node.text);
  if (*key == "<<") {
    Problem(event.start_mark, "YAML merge keys are not taken (write the values in full)");
    return false;
  }
  return true;
}

bool YamlReader::ReadMapping(int depth, ConfigNode* out) {
  *out = ConfigNode::Mapping(At(event_.get().start_mark));
  std::unordered_map<std::string, SourcePosition> seen;
  while (Next()) {
    if (event_.get().type == YAML_MAPPING_END_EVENT) return true;
    ConfigEntry entry;
    entry.position = At(event_.get().start_mark);
    if (!ReadKey(&entry.key)) return false;
    if (!Next() || !ReadValue(depth + 1, &entry.value)) return false;
    const auto [first, is_new] = seen.emplace(entry.key, entry.position);
    if (is_new) {
      out->entries.push_back(std::move(entry));
    } else {
      problems_->push_back({entry.position, fmt::format("\"{}\" is given twice (first at line {})",
                                                        Printable(entry.key), first->second.line)});
    }
  }
  return false;
}

bool YamlReader::ReadValue(int depth, ConfigNode* out) {
  const yaml_event_t& event = event_.get();
  if (depth > kMaxConfigDepth) {
    Problem(event.start_mark,
            fmt::format("nested too deeply (at most {} levels)", kMaxConfigDepth));
    return false;
  }
  switch (event.type) {
    case YAML_SCALAR_EVENT:
      return ReadScalar(out);
    case YAML_SEQUENCE_START_EVENT:
      return CheckDecoration(event.data.sequence_start.anchor, event.data.sequence_start.tag) &&
             ReadSequence(depth, out);
    case YAML_MAPPING_START_EVENT:
      return CheckDecoration(event.data.mapping_start.anchor, event.data.mapping_start.tag) &&
             ReadMapping(depth, out);
    case YAML_ALIAS_EVENT:
      Problem(event.start_mark,
              fmt::format("YAML aliases are not taken (write the value of \"*{}\" "
                          "in full)",
                          View(event.data.alias.anchor)));
      return false;
    default:
      Problem(event.start_mark, "not valid YAML: a value is missing");
      return false;
  }
}

ConfigNode YamlReader::Run() {
  ConfigNode root = ConfigNode::Mapping(SourcePosition{source_, 1, 1});
  if (!Next() || !Next()) return root;  // stream start, document start
  if (event_.get().type == YAML_STREAM_END_EVENT) return root;
  ConfigNode value;
  if (!Next() || !ReadValue(0, &value)) {
    // What was read before the fault is still checked, so that one run tells more.
    if (value.IsMapping()) return value;
    return root;
  }
  if (!Next() || !Next()) return value.IsMapping() ? std::move(value) : std::move(root);
  if (event_.get().type != YAML_STREAM_END_EVENT) {
    Problem(event_.get().start_mark, "a second YAML document begins here (keep one document)");
  }
  if (value.IsNull()) return root;
  if (!value.IsMapping()) {
    problems_->push_back(
        {value.position, fmt::format("expected \"key: value\" lines, found {}", value.KindName())});
    return root;
  }
  return value;
}

}  // namespace

ConfigNode ParseYaml(std::string_view text, const std::string& name, ConfigProblems* problems) {
  if (text.empty()) return ConfigNode::Mapping(MakePosition(name, 1, 1));
  return YamlReader(text, name, problems).Run();
}

std::string YamlLibraryVersion() { return yaml_get_version_string(); }

}  // namespace ub
