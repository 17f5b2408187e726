// Nodes into a Config: the only validator. Knows no file format, checks every key against the key
// table, and reports all that is wrong at once, each with its place and what to do about it.
//
// Called by config_load at start and reload in the master, and by the checking commands.
#ifndef UB_CORE_CONFIG_BIND_H_
#define UB_CORE_CONFIG_BIND_H_

#include <map>
#include <string>

#include "core/config.h"
#include "core/config_node.h"

namespace ub {

using EnvironmentMap = std::map<std::string, std::string>;

struct BindOptions {
  // Where `env:NAME` secrets are looked up; null: none are known.
  const EnvironmentMap* environment = nullptr;
  // What relative paths are relative to; empty: they stay as they are.
  std::string directory{};
  // False where a source could not be read to its end: what is missing is then no fault.
  bool complete = true;
};

struct BindResult {
  Config config;            // meaningful where problems is empty
  ConfigProblems problems;  // in the order of the sources' lines
};

BindResult BindConfig(const ConfigNode& root, const BindOptions& options);

}  // namespace ub

#endif  // UB_CORE_CONFIG_BIND_H_
