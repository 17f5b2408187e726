#include "core/config_cli.h"

#include <fmt/format.h>

#include "core/config_text.h"

namespace ub {

ConfigNode FlagNodes(const std::vector<ConfigFlag>& flags, ConfigProblems* problems) {
  ConfigNode root = ConfigNode::Mapping(MakePosition("command line"));
  for (const ConfigFlag& flag : flags) {
    const bool is_flag = flag.flag.starts_with('-');
    const SourcePosition position = MakePosition((is_flag ? "flag " : "argument ") + flag.flag);
    ConfigNode value = ConfigNode::Untyped(flag.value, position);
    const bool one_backend = flag.path == "backends" && !flag.flag.starts_with("-g");
    if (one_backend) {
      ConfigNode* list = root.Find("backends");
      if (list == nullptr || !list->IsSequence()) {
        root.Set("backends", ConfigNode::Sequence(position));
        list = root.Find("backends");
      }
      list->items.push_back(std::move(value));
      continue;
    }
    const bool well_formed = !flag.path.empty() && flag.path.front() != '.' &&
                             flag.path.back() != '.' && flag.path.find("..") == std::string::npos;
    if (!well_formed || !root.SetPath(flag.path, std::move(value))) {
      problems->push_back(
          {position,
           fmt::format("\"{}\" is not the path of a key (write a.b=value)", Printable(flag.path))});
      continue;
    }
    // `listen` and its short form put each other out of force, the later flag winning.
    if (flag.path == "listen") {
      root.Remove("listen_address");
      root.Remove("listen_port");
    } else if (flag.path == "listen_port" || flag.path == "listen_address") {
      root.Remove("listen");
    }
  }
  return root;
}

}  // namespace ub
