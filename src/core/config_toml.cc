#include "core/config_toml.h"

#include <fmt/format.h>

#include <utility>

#define TOML_EXCEPTIONS 0
// Its assertions can be broken by a file ("[= 1"), and would take the master along at a reload.
// What they look at, the code behind them looks at again and reports; the fuzz target watches over
// it.
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "core/config_text.h"
#include "core/config_yaml.h"

namespace ub {
namespace {

// The most dots outside strings that one line may have. toml++ bounds the nesting of values but not
// that of dotted keys, and a key of a million parts would make a tree whose destruction overflows
// the stack.
constexpr int kMaxDotsInLine = 32;

// What toml++ must not see: too many dots in a line, and letters beyond ASCII outside strings and
// comments, for some of which its look-up of blanks has no answer and runs into undefined
// behaviour.
struct Hazard {
  uint32_t line = 0, column = 0;  // line 0: none
  bool dots = false;
};

// Follows TOML's strings and comments only as far as this needs.
Hazard FindHazard(std::string_view text) {
  enum class In { kPlain, kBasic, kLiteral, kLongBasic, kLongLiteral, kComment };
  In in = In::kPlain;
  uint32_t line = 1;
  size_t line_start = 0;
  int dots = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool triple = text.substr(i, 3) == "\"\"\"" || text.substr(i, 3) == "'''";
    if (c == '\n') {
      ++line;
      line_start = i + 1;
      dots = 0;
      if (in != In::kLongBasic && in != In::kLongLiteral) in = In::kPlain;
    } else if (in == In::kPlain) {
      if (c == '.' && ++dots > kMaxDotsInLine) return {line, 1, true};
      if (static_cast<unsigned char>(c) >= 0x80) {
        return {line, static_cast<uint32_t>(i - line_start + 1), false};
      }
      if (c == '#') in = In::kComment;
      if (c == '"') in = triple ? In::kLongBasic : In::kBasic;
      if (c == '\'') in = triple ? In::kLongLiteral : In::kLiteral;
      if (triple) i += 2;
    } else if ((in == In::kBasic || in == In::kLongBasic) && c == '\\') {
      ++i;
      if (i < text.size() && text[i] == '\n') {
        ++line;
        line_start = i + 1;
      }
    } else if ((in == In::kBasic && c == '"') || (in == In::kLiteral && c == '\'')) {
      in = In::kPlain;
    } else if (triple &&
               ((in == In::kLongBasic && c == '"') || (in == In::kLongLiteral && c == '\''))) {
      in = In::kPlain;
      i += 2;
      // Up to two quotes may stand before the closing three.
      while (i + 1 < text.size() && text[i + 1] == c) ++i;
    }
  }
  return {};
}

// toml++ tells what it was doing, which helps nobody; what helps is what to do about it.
std::string Explain(std::string_view description) {
  constexpr std::string_view kStart = "Error while parsing ";
  const size_t colon = description.find(": ");
  if (description.starts_with(kStart) && colon != std::string_view::npos)
    description.remove_prefix(colon + 2);
  constexpr std::pair<std::string_view, std::string_view> kHints[] = {
      {"cannot redefine", "it is given twice: keep one"},
      {"could not determine value type", "text stands in quotes"},
      {"expected digit, saw", "text, sizes and durations stand in quotes: \"32k\""},
      {"expected '=', saw", "write key = value"},
      {"expected value, saw", "write key = value"},
      {"unescaped control characters", "is the quote closed?"},
      {"encountered end-of-file", "is a quote or a bracket not closed?"},
      {"unknown escape sequence", "write \\\\ for a backslash, or use single quotes"},
      {"maximum nested value depth", "is this a configuration?"},
  };
  for (const auto& [part, hint] : kHints) {
    if (description.find(part) != std::string_view::npos)
      return fmt::format("not valid TOML: {} ({})", Printable(description, 200), hint);
  }
  return fmt::format("not valid TOML: {}", Printable(description, 200));
}

class TomlReader {
 public:
  TomlReader(const std::string& name, ConfigProblems* problems)
      : source_(std::make_shared<const std::string>(name)), problems_(problems) {}

  SourcePosition At(const toml::source_region& region) const {
    return SourcePosition{source_, static_cast<uint32_t>(region.begin.line),
                          static_cast<uint32_t>(region.begin.column)};
  }
  SourcePosition Start() const { return SourcePosition{source_, 1, 1}; }

  ConfigNode ConvertTable(const toml::table& table, int depth);

 private:
  ConfigNode Convert(const toml::node& node, int depth);
  ConfigNode ConvertArray(const toml::array& array, int depth);

  std::shared_ptr<const std::string> source_;
  ConfigProblems* problems_;
};

ConfigNode TomlReader::ConvertTable(const toml::table& table, int depth) {
  ConfigNode out = ConfigNode::Mapping(At(table.source()));
  for (const auto& [key, value] : table) {
    if (key.str().find('\0') != std::string_view::npos) {
      problems_->push_back({At(key.source()), "NUL bytes are not taken (remove the \"\\u0000\")"});
      continue;
    }
    ConfigNode child = Convert(value, depth + 1);
    if (child.position.line == 0) child.position = At(key.source());
    out.entries.push_back(ConfigEntry{std::string(key.str()), At(key.source()), std::move(child)});
  }
  return out;
}

ConfigNode TomlReader::ConvertArray(const toml::array& array, int depth) {
  ConfigNode out = ConfigNode::Sequence(At(array.source()));
  for (const toml::node& item : array) out.items.push_back(Convert(item, depth + 1));
  return out;
}

ConfigNode TomlReader::Convert(const toml::node& node, int depth) {
  const SourcePosition position = At(node.source());
  if (depth > kMaxConfigDepth) {
    problems_->push_back(
        {position, fmt::format("nested too deeply (at most {} levels)", kMaxConfigDepth)});
    return ConfigNode();
  }
  if (const toml::table* table = node.as_table()) return ConvertTable(*table, depth);
  if (const toml::array* array = node.as_array()) return ConvertArray(*array, depth);
  if (const auto* text = node.as_string()) {
    if (text->get().find('\0') != std::string::npos) {
      problems_->push_back({position, "NUL bytes are not taken (remove the \"\\u0000\")"});
      return ConfigNode::Scalar("", position, /*quoted=*/true);
    }
    return ConfigNode::Scalar(text->get(), position, /*quoted=*/true);
  }
  if (const auto* number = node.as_integer()) {
    return ConfigNode::Scalar(std::to_string(number->get()), position);
  }
  if (const auto* number = node.as_floating_point()) {
    return ConfigNode::Scalar(fmt::format("{}", number->get()), position);
  }
  if (const auto* flag = node.as_boolean()) {
    return ConfigNode::Scalar(flag->get() ? "true" : "false", position);
  }
  problems_->push_back({position, "dates and times are not taken (quote it where text is meant)"});
  return ConfigNode::Scalar("", position, true);
}

}  // namespace

ConfigNode ParseToml(std::string_view text, const std::string& name, ConfigProblems* problems) {
  TomlReader reader(name, problems);
  if (const Hazard hazard = FindHazard(text); hazard.line != 0) {
    problems->push_back(
        {MakePosition(name, hazard.line, hazard.column),
         hazard.dots ? fmt::format("nested too deeply (at most {} dots in a line)", kMaxDotsInLine)
                     : "not valid TOML: letters beyond ASCII stand in quotes"});
    return ConfigNode::Mapping(reader.Start());
  }
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    problems->push_back({reader.At(error.source()), Explain(error.description())});
    return ConfigNode::Mapping(reader.Start());
  }
  ConfigNode root = reader.ConvertTable(result.table(), 0);
  if (root.position.line == 0) root.position = reader.Start();
  return root;
}

std::string TomlLibraryVersion() {
  return fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH);
}

}  // namespace ub
