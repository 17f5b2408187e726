// What the tests of the configuration share: files in a directory of their own, a tree of nodes as
// text, and a Config in which nothing is as it is by default.
#ifndef UB_UNIT_CORE_CONFIG_FIXTURE_H_
#define UB_UNIT_CORE_CONFIG_FIXTURE_H_

#include <string>
#include <string_view>
#include <vector>

#include "core/config_bind.h"
#include "core/config_load.h"
#include "core/config_node.h"

namespace ub {

// A directory that is removed with what is in it.
class ConfigDirectory {
 public:
  ConfigDirectory();
  ~ConfigDirectory();
  ConfigDirectory(const ConfigDirectory&) = delete;
  ConfigDirectory& operator=(const ConfigDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }
  void Write(std::string_view name, std::string_view text) const;
  // The file as -c gives it from this directory, with an empty environment and no flags.
  ConfigSource Source(const std::string& file) const;

 private:
  std::string path_;
};

// "{ a: 1, b: [ "x", ~ ] }": quoted scalars in quotes, nulls as ~, untyped scalars behind a '.
std::string Dump(const ConfigNode& node);
// "a.yaml:1:2: text", one a line.
std::string Lines(const ConfigProblems& problems);
std::string Lines(const std::vector<std::string>& lines);

// `text` in YAML, bound. The file is called "t", as its errors show.
BindResult BindYaml(std::string_view text, const BindOptions& options = {});

// Every key has a value that is not its default (config_keys_test.cc sees to that), each of a kind
// that the binder takes.
Config UnusualConfig();

// `count` copies of `text`.
std::string Repeat(std::string_view text, size_t count);

}  // namespace ub

#endif  // UB_UNIT_CORE_CONFIG_FIXTURE_H_
