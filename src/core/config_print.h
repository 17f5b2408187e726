// Writing a configuration in its three formats: `example`, `-T`, and turning one format into
// another. What is printed can be read again and gives the same configuration.
#ifndef UB_CORE_CONFIG_PRINT_H_
#define UB_CORE_CONFIG_PRINT_H_

#include <string>

#include "core/config.h"
#include "core/config_load.h"
#include "core/config_node.h"

namespace ub {

struct PrintOptions {
  ConfigFormat format = ConfigFormat::kYaml;
  const ConfigNode* sources =
      nullptr;  // the merged nodes: each value gets the place that it comes from as a comment
  bool meanings = false;  // each key gets its meaning as a comment before it
  bool example = false;   // keys that need a choice are commented out
  bool secrets = false;   // false: a secret is left out, with a comment
  bool only_given = false;  // only keys that `sources` holds; their places without the column
};

std::string PrintConfig(const Config& config, const PrintOptions& options);

// Every key with its meaning, values and default: what conf/ultrabalancer.yaml is made from.
std::string PrintExample(ConfigFormat format);

// The defaults, and something to show for each key that has none: what the example and the manual show.
Config ExampleConfig();

// As `-T` prints it.
inline std::string PrintMergedConfig(const LoadedConfig& loaded) {
  return PrintConfig(*loaded.config, {.format = ConfigFormat::kYaml, .sources = &loaded.merged});
}

}  // namespace ub

#endif  // UB_CORE_CONFIG_PRINT_H_
