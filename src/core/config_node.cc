#include "core/config_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ub {

std::string SourcePosition::ToString() const {
  if (!source) return "configuration";
  if (line == 0) return *source;
  return fmt::format("{}:{}:{}", *source, line, column);
}

SourcePosition MakePosition(std::string source, uint32_t line, uint32_t column) {
  return SourcePosition{std::make_shared<const std::string>(std::move(source)), line, column};
}

void SortProblems(ConfigProblems* problems) {
  std::vector<std::string> order;
  const auto rank = [&order](const ConfigProblem& problem) {
    const std::string name = problem.position.source ? *problem.position.source : std::string();
    const auto it = std::ranges::find(order, name);
    if (it != order.end()) return it - order.begin();
    order.push_back(name);
    return static_cast<std::ptrdiff_t>(order.size() - 1);
  };
  for (const ConfigProblem& problem : *problems) rank(problem);
  std::ranges::stable_sort(*problems, [&rank](const ConfigProblem& a, const ConfigProblem& b) {
    const auto first = rank(a), second = rank(b);
    if (first != second) return first < second;
    if (a.position.line != b.position.line) return a.position.line < b.position.line;
    return a.position.column < b.position.column;
  });
}

ConfigNode ConfigNode::Scalar(std::string text, SourcePosition position, bool quoted) {
  ConfigNode node;
  node.kind = Kind::kScalar;
  node.text = std::move(text);
  node.position = std::move(position);
  node.quoted = quoted;
  return node;
}

ConfigNode ConfigNode::Untyped(std::string text, SourcePosition position) {
  ConfigNode node = Scalar(std::move(text), std::move(position));
  node.untyped = true;
  return node;
}

ConfigNode ConfigNode::Mapping(SourcePosition position) {
  ConfigNode node;
  node.kind = Kind::kMapping;
  node.position = std::move(position);
  return node;
}

ConfigNode ConfigNode::Sequence(SourcePosition position) {
  ConfigNode node;
  node.kind = Kind::kSequence;
  node.position = std::move(position);
  return node;
}

const ConfigNode* ConfigNode::Find(std::string_view key) const {
  for (const ConfigEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

ConfigNode* ConfigNode::Find(std::string_view key) {
  return const_cast<ConfigNode*>(std::as_const(*this).Find(key));
}

const ConfigNode* ConfigNode::FindPath(std::string_view path) const {
  const ConfigNode* node = this;
  while (node != nullptr) {
    const size_t dot = path.find('.');
    node = node->Find(path.substr(0, dot));
    if (dot == std::string_view::npos) return node;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

bool ConfigNode::SetPath(std::string_view path, ConfigNode value) {
  ConfigNode* node = this;
  for (;;) {
    const size_t dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    if (dot == std::string_view::npos) {
      node->Set(key, std::move(value));
      return true;
    }
    ConfigNode* child = node->Find(key);
    if (child == nullptr) {
      node->Set(key, Mapping(value.position));
      child = node->Find(key);
    }
    if (child->IsNull()) *child = Mapping(value.position);
    if (!child->IsMapping()) return false;
    node = child;
    path.remove_prefix(dot + 1);
  }
}

void ConfigNode::Set(std::string_view key, ConfigNode value) {
  for (ConfigEntry& entry : entries) {
    if (entry.key == key) {
      entry.position = value.position;
      entry.value = std::move(value);
      return;
    }
  }
  SourcePosition where = value.position;
  entries.push_back(ConfigEntry{std::string(key), std::move(where), std::move(value)});
}

void ConfigNode::Remove(std::string_view key) {
  std::erase_if(entries, [key](const ConfigEntry& entry) { return entry.key == key; });
}

std::string_view ConfigNode::KindName() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return quoted ? "text" : "a value";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "nothing";
}

}  // namespace ub
