#include "cli/help.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "cli/flags.h"
#include "core/config_keys.h"
#include "core/config_toml.h"
#include "core/config_yaml.h"
#include "core/shm_segment.h"

#if __has_include("build_config.h")
#include "build_config.h"
#endif
#ifndef UB_VERSION
#define UB_VERSION "unknown"
#define UB_CONFIGURE_ARGS ""
#define UB_COMPILER __VERSION__
#define UB_SANITIZERS ""
#define UB_HAVE_JEMALLOC 0
#endif

namespace ub {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 30;  // where meanings begin

std::string HelpLine(const std::string& left, std::string_view right) {
  if (left.size() + 2 <= kColumn) return fmt::format("{:<{}}{}\n", left, kColumn, right);
  return fmt::format("{}\n{:<{}}{}\n", left, "", kColumn, right);
}

// Words in indented lines.
std::string Wrapped(const std::vector<std::string_view>& words) {
  std::string out, line = " ";
  for (const std::string_view word : words) {
    if (line.size() + 1 + word.size() > kWidth) out += std::exchange(line, " ") + "\n";
    line += fmt::format(" {}", word);
  }
  return out + line + "\n";
}

std::string FlagForms(const FlagSpec& flag) {
  std::string text;
  for (const char letter : flag.letters)
    text += fmt::format("{}-{}", text.empty() ? "" : ", ", letter);
  if (text.empty()) text = "    ";
  if (!flag.name.empty())
    text += fmt::format("{}--{}", flag.letters.empty() ? "" : ", ", flag.name);
  if (!flag.argument.empty()) text += fmt::format(" {}", flag.argument);
  return "  " + text;
}

}  // namespace

std::string HelpText() {
  std::string out =
      "UltraBalancer, an HTTP load balancer.\n\n"
      "Usage: ultrabalancer [OPTIONS]\n"
      "       ultrabalancer COMMAND [OPTIONS]\n\n"
      "  ultrabalancer -b app1:8080 -b app2:8080 -p 80\n"
      "  ultrabalancer -c /etc/ultrabalancer/ultrabalancer.yaml\n\n"
      "Commands:\n";
  for (const CommandSpec& command : Commands()) {
    out += HelpLine(fmt::format("  {} {}", command.name, command.arguments), command.meaning);
  }
  std::string_view group;
  for (const FlagSpec& flag : Flags()) {
    if (flag.group != group) out += fmt::format("\n{}:\n", flag.group);
    group = flag.group;
    out += HelpLine(FlagForms(flag), flag.meaning);
  }
  out += "\nAlgorithms:\n" + Wrapped(Choices(*FindConfigKey("algorithm")));
  out += "\nKeys of the configuration: ultrabalancer example, or ultrabalancer.yaml(5).\n";
  return out;
}

std::string VersionText(bool full) {
  std::string out = "ultrabalancer " UB_VERSION "\n";
  if (!full) return out;
  // NOLINTNEXTLINE(readability-redundant-string-init): it is "" in most builds
  const std::string_view sanitizers = UB_SANITIZERS;
  const std::string_view arguments = UB_CONFIGURE_ARGS;
  out += fmt::format("compiler: {}\n", UB_COMPILER);
  out += fmt::format("configure: {}\n", arguments.empty() ? "(no arguments)" : arguments);
  out += fmt::format("jemalloc: {}\n", UB_HAVE_JEMALLOC != 0 ? "yes" : "no");
  if (!sanitizers.empty()) out += fmt::format("sanitizers: {}\n", sanitizers);
  return out;
}

std::string InfoText() {
  std::string out = VersionText(true);
  out += fmt::format("libyaml: {}\ntoml++: {}\nfmt: {}.{}.{}\n", YamlLibraryVersion(),
                     TomlLibraryVersion(), FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
                     FMT_VERSION % 100);
  const ShmLimits limits;
  out += fmt::format("shared memory: {:.1f} MiB for {} backends and {} processes, touched as used\n",
                     static_cast<double>(ShmSegment::BytesFor(limits)) / (1 << 20), limits.backends,
                     limits.processes);
  out += "\nAlgorithms:\n";
  for (const std::string_view name : Choices(*FindConfigKey("algorithm"))) {
    out += fmt::format("  {}\n", name);
  }
  out += "\nKeys and their defaults:\n";
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string value = DefaultKeyValue(key).ToString();
    const bool list = key.type == KeyType::kBackendList || key.type == KeyType::kListenList;
    out += fmt::format("  {:<42} {}\n", key.path,
                       list            ? "-"
                       : value.empty() ? "none"
                                       : value);
  }
  return out;
}

}  // namespace ub
