// The table of command line flags, from which parsing, the help and the shell completions are made;
// and the reading of arguments by CLI11, which only this part knows. Runs once, in main, before any
// fork.
#ifndef UB_CLI_FLAGS_H_
#define UB_CLI_FLAGS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_cli.h"

namespace ub {

struct FlagSpec {
  std::string_view letters;   // "b" or "cf": short forms, each of one letter
  std::string_view name;      // "backend": the long form; may be empty
  std::string_view argument;  // "HOST:PORT[:WEIGHT]"; empty: it takes none
  std::string_view group;     // the help's heading
  std::string_view meaning;
  std::string_view path = {};   // the configuration key that it sets; empty: not a key
  std::string_view value = {};  // what it sets the key to, where it takes no argument

  // "--backend", or "-t" where there is no long form: what messages call it.
  std::string Display() const;
};

std::span<const FlagSpec> Flags();

struct CommandSpec {
  std::string_view name;
  std::string_view arguments;  // "ALGORITHM HOST:PORT..."
  std::string_view meaning;
};

std::span<const CommandSpec> Commands();

// One flag as it was given.
struct GivenFlag {
  const FlagSpec* spec = nullptr;
  std::string value;
};

struct Arguments {
  std::string command;                  // empty: none
  std::vector<std::string> positional;  // what follows it
  std::vector<GivenFlag> flags;         // in the order given
  bool diff = false;                    // validate --diff
  bool watch = false;                   // status --watch
  std::string export_directory;         // dashboard --export
  std::string format;                   // example --format
  std::string from, pool;               // import --from, --pool
  std::string error;                    // wrong usage: one line; the rest is empty
};

Arguments ParseArguments(int argc, const char* const* argv);

}  // namespace ub

#endif  // UB_CLI_FLAGS_H_
