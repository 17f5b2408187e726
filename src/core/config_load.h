// The one way to a configuration: reads file, environment and command line, merges them in their
// order of precedence, checks the whole, and gives either a Config or every error there is.
//
// Called by main at start, by the master at reload, and by the checking commands. Takes about 10 ms
// of CPU for a file of 1,000 backends; resolving names may block longer.
#ifndef UB_CORE_CONFIG_LOAD_H_
#define UB_CORE_CONFIG_LOAD_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/config_bind.h"
#include "core/config_cli.h"
#include "core/config_diff.h"
#include "core/config_node.h"
#include "core/config_serialize.h"
#include "core/status.h"

namespace ub {

// Something about the tls keys that takes a TLS library to know, which is a layer above.
struct TlsFault {
  // "certificate" or "key" of tls.certificates[index], or the path of another key.
  std::string where;
  size_t index = 0;
  std::string text;
  bool warning = false;  // it works all the same, for now
};
using TlsCheck = std::vector<TlsFault> (*)(const Config&);

// What a configuration is made of. Kept by the master: loading again reads the file anew and takes
// environment and command line as they were at the start.
struct ConfigSource {
  std::string file;            // as given with -c, for messages; empty: none
  std::string directory;       // where relative paths begin: the working directory at the start
  EnvironmentMap environment;  // captured at the start
  bool use_environment =
      true;  // false: ULTRA_… variables set nothing (secrets may still be env:NAME)
  std::vector<ConfigFlag> flags;  // in the order given
  bool resolve = true;            // false: backend names are not looked up
  TlsCheck check_tls = nullptr;   // null: certificates are read and not looked into

  // The working directory and the environment of this process.
  static ConfigSource FromProcess();
};

struct LoadedConfig {
  std::shared_ptr<const Config> config;
  ConfigNode merged;                  // with the source of every value, for -T
  std::vector<std::string> warnings;  // lines without a newline
};

struct ConfigErrors {
  // "FILE:LINE:COLUMN: what is wrong (what to do)", never empty. Whoever prints them to a person
  // puts "ultrabalancer: " before each.
  std::vector<std::string> lines;
  bool wrong_usage = false;  // every one is about the spelling of a flag: exit status 2, not 1
};

tl::expected<LoadedConfig, ConfigErrors> LoadConfig(const ConfigSource& source);

// Only where the running instance is managed, for the commands that ask it; the same holds.
tl::expected<AdminConfig, ConfigErrors> LoadAdminConfig(const ConfigSource& source);

// Only the pid file, for -s: the rest of the configuration may be wrong. Empty: none is set.
tl::expected<std::string, ConfigErrors> LoadPidFile(const ConfigSource& source);

enum class ConfigFormat { kYaml, kToml, kIni };
// By the extension: .yaml .yml .toml .ini
Result<ConfigFormat> FormatOfFile(std::string_view file);
// One file's text into nodes; refuses NUL bytes and what is larger than kMaxConfigFile. `name` for
// messages.
inline constexpr size_t kMaxConfigFile = 4u << 20;
// The bytes of a plain file of at most kMaxConfigFile. The detail of an error reads on from the
// file's name: "cannot open: …".
Result<std::string> ReadConfigFile(const std::string& path);
ConfigNode ParseConfigText(ConfigFormat format, std::string_view text, const std::string& name,
                           ConfigProblems* problems);

}  // namespace ub

#endif  // UB_CORE_CONFIG_LOAD_H_
