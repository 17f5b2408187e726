// The readers of plain values that config_bind_value and config_bind_lists share.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "core/config_bind_value.h"
#include "core/config_text.h"

namespace ub {

bool ExpectScalar(std::string_view path, const ConfigNode& node, std::string_view expected,
                  ConfigProblems* problems) {
  // An empty text is one; to a key of another type it is nothing.
  const bool nothing =
      node.IsNull() || (node.IsScalar() && node.text.empty() && expected != "text");
  if (node.IsScalar() && !nothing) return true;
  problems->push_back(
      {node.position,
       fmt::format("{}: expected {}, found {}", path, expected,
                   nothing ? "nothing (give a value or remove the key)" : node.KindName())});
  return false;
}

bool BindNumber(std::string_view path, const ConfigNode& node, uint64_t min, uint64_t max,
                bool or_auto, uint64_t* out, ConfigProblems* problems) {
  if (!ExpectScalar(path, node, or_auto ? "auto or a whole number" : "a whole number", problems))
    return false;
  const std::optional<uint64_t> number = ParseUnsigned(node.text);
  const bool huge = !number && !node.text.empty() &&
                    node.text.find_first_not_of("0123456789") == std::string::npos;
  const std::string range = fmt::format("({} to {}{})", min, max, or_auto ? ", or auto" : "");
  std::string text;
  if (node.quoted && !node.untyped && number) {
    text =
        fmt::format("expected a whole number, found the text \"{}\" (remove the quotes)", *number);
  } else if (huge || IsNegativeNumber(node.text) || (number && (*number < min || *number > max))) {
    text = fmt::format("{} is out of range {}", Printable(node.text), range);
  } else if (!number) {
    text = fmt::format("\"{}\" is not a whole number {}", Printable(node.text), range);
  } else {
    *out = *number;
    return true;
  }
  problems->push_back({node.position, fmt::format("{}: {}", path, text)});
  return false;
}

bool BindBool(std::string_view path, const ConfigNode& node, bool* out, ConfigProblems* problems) {
  if (!ExpectScalar(path, node, "true or false", problems)) return false;
  std::optional<bool> flag = ParseBool(node.text);
  if (!flag && node.untyped && (node.text == "1" || node.text == "0")) flag = node.text == "1";
  std::string text;
  if (!flag) {
    text = fmt::format("\"{}\" is not true or false", Printable(node.text));
  } else if (node.quoted && !node.untyped) {
    text =
        fmt::format("expected true or false, found the text \"{}\" (remove the quotes)", node.text);
  } else {
    *out = *flag;
    return true;
  }
  problems->push_back({node.position, fmt::format("{}: {}", path, text)});
  return false;
}

bool BindText(std::string_view path, const ConfigNode& node, std::string* out,
              ConfigProblems* problems) {
  if (!ExpectScalar(path, node, "text", problems)) return false;
  for (const char c : node.text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      problems->push_back(
          {node.position, fmt::format("{}: the text has a control character", path)});
      return false;
    }
  }
  *out = node.text;
  return true;
}

std::vector<ListItem> ListItems(std::string_view path, const ConfigNode& node,
                                std::string_view expected, ConfigProblems* problems) {
  std::vector<ListItem> items;
  if (node.IsScalar() && node.untyped) {
    for (std::string_view part : SplitTrimmed(node.text, ',')) {
      if (part.size() >= 2 && part.front() == '"' && part.back() == '"')
        part = part.substr(1, part.size() - 2);
      items.push_back({std::string(part), node.position});
    }
  } else if (node.IsScalar()) {
    items.push_back({node.text, node.position});
  } else if (node.IsSequence()) {
    for (const ConfigNode& item : node.items) {
      if (ExpectScalar(path, item, "a value", problems))
        items.push_back({item.text, item.position});
    }
  } else {
    ExpectScalar(path, node, expected, problems);
  }
  return items;
}

}  // namespace ub
