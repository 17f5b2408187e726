// The value tree that every configuration source is read into: YAML, TOML, INI, the environment and
// the flags all become ConfigNodes, each of which knows where it stood. Merging and binding see
// nothing else.
//
// Used by the master and by the commands that check a configuration, at start and reload only.
#ifndef UB_CORE_CONFIG_NODE_H_
#define UB_CORE_CONFIG_NODE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ub {

// Where a value stood. Line and column count from 1, columns in bytes; line 0: the source has no
// lines (a flag, an environment variable).
struct SourcePosition {
  std::shared_ptr<const std::string>
      source;  // "app.yaml", "environment ULTRA_WORKERS", "flag --port"; never null
  uint32_t line = 0;
  uint32_t column = 0;

  // "app.yaml:3:7", "flag --port".
  std::string ToString() const;
};

SourcePosition MakePosition(std::string source, uint32_t line = 0, uint32_t column = 0);

// One thing that is wrong (or, in a list of warnings, odd) with the configuration.
struct ConfigProblem {
  SourcePosition position;
  std::string text;  // "listen_port: 70000 is out of range (1 to 65535)"

  // "app.yaml:3:7: text".
  std::string ToString() const { return position.ToString() + ": " + text; }
};

using ConfigProblems = std::vector<ConfigProblem>;

// By line and column within one source; the sources in the order in which they come up.
void SortProblems(ConfigProblems* problems);

struct ConfigEntry;

struct ConfigNode {
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  bool quoted = false;   // a scalar that is text in its source, whatever it looks like
  bool untyped = false;  // from a source without types (INI, environment, flags): text stands for
                         // lists and numbers too
  std::string text;      // a scalar's
  SourcePosition position;
  std::vector<ConfigNode> items;     // a sequence's
  std::vector<ConfigEntry> entries;  // a mapping's, in source order, keys unique

  static ConfigNode Scalar(std::string text, SourcePosition position, bool quoted = false);
  static ConfigNode Untyped(std::string text, SourcePosition position);
  static ConfigNode Mapping(SourcePosition position);
  static ConfigNode Sequence(SourcePosition position);

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsSequence() const { return kind == Kind::kSequence; }
  bool IsMapping() const { return kind == Kind::kMapping; }

  // The value of `key` in a mapping, or null.
  const ConfigNode* Find(std::string_view key) const;
  ConfigNode* Find(std::string_view key);
  // The value at a dotted path ("health_check.interval_ms"), or null.
  const ConfigNode* FindPath(std::string_view path) const;
  // Sets the value at a dotted path, making mappings on the way. False where a scalar or a list is
  // in the way.
  bool SetPath(std::string_view path, ConfigNode value);
  // Puts `value` under `key`, replacing what stood there.
  void Set(std::string_view key, ConfigNode value);
  void Remove(std::string_view key);

  // "a mapping", "a list", "nothing", "text", for messages.
  std::string_view KindName() const;
};

struct ConfigEntry {
  std::string key;
  SourcePosition position;  // of the key
  ConfigNode value;
};

}  // namespace ub

#endif  // UB_CORE_CONFIG_NODE_H_
