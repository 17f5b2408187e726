#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/flags.h"
#include "core/config_keys.h"
#include "core/config_toml.h"
#include "core/config_yaml.h"

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

constexpr size_t kColumn = 30;  // where meanings begin

std::string HelpLine(const std::string& left, std::string_view right) {
  if (left.size() + 2 <= kColumn) return fmt::format("{:<{}}{}\n", left, kColumn, right);
  return fmt::format("{}\n{:<{}}{}\n", left, "", kColumn, right);
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

std::string Joined(const std::vector<std::string_view>& words) {
  return fmt::format("{}", fmt::join(words, " "));
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
  out +=
      "\nAlgorithms:\n  round-robin least-connections ip-hash random weighted power-of-two\n"
      "  fastest-response\n"
      "\nKeys of the configuration: ultrabalancer example, or ultrabalancer.yaml(5).\n";
  return out;
}

std::string VersionText(bool full) {
  std::string out = "ultrabalancer " UB_VERSION "\n";
  if (!full) return out;
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
  out += "\nAlgorithms:\n";
  for (const std::string_view name : Choices(*FindConfigKey("algorithm"))) {
    out += fmt::format("  {}\n", name);
  }
  out += "\nKeys and their defaults (* is not in force in this version):\n";
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string value = DefaultKeyValue(key).ToString();
    const bool list = key.type == KeyType::kBackendList || key.type == KeyType::kListenList;
    out += fmt::format(" {}{:<42} {}\n", key.in_force ? ' ' : '*', key.path,
                       list            ? "-"
                       : value.empty() ? "none"
                                       : value);
  }
  return out;
}

std::string BashCompletionText() {
  std::vector<std::string> flags;
  for (const FlagSpec& flag : Flags()) {
    for (const char letter : flag.letters) flags.push_back(fmt::format("-{}", letter));
    if (!flag.name.empty()) flags.push_back(fmt::format("--{}", flag.name));
  }
  std::vector<std::string_view> commands;
  for (const CommandSpec& command : Commands()) commands.push_back(command.name);
  std::vector<std::string> keys;
  for (const ConfigKey& key : ConfigKeys()) keys.push_back(fmt::format("{}=", key.path));
  std::string out =
      "# bash completion for ultrabalancer(8), made from its tables of flags and keys\n\n"
      "_ultrabalancer() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n";
  out += fmt::format("  local algorithms=\"{}\"\n", Joined(Choices(*FindConfigKey("algorithm"))));
  out += fmt::format("  local commands=\"{}\"\n", Joined(commands));
  out += fmt::format("  local flags=\"{}\"\n", fmt::join(flags, " "));
  out += fmt::format("  local keys=\"{}\"\n", fmt::join(keys, " "));
  out += R"(  case $before in
    -a | --algorithm | start) mapfile -t COMPREPLY < <(compgen -W "$algorithms" -- "$word") ;;
    -s) mapfile -t COMPREPLY < <(compgen -W "reload quit stop reopen" -- "$word") ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "yaml toml ini" -- "$word") ;;
    -c | -f | --config | --pid-file)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
    -g)
      compopt -o nospace
      mapfile -t COMPREPLY < <(compgen -W "$keys" -- "$word")
      ;;
    --user) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
    --group) mapfile -t COMPREPLY < <(compgen -g -- "$word") ;;
    --host) mapfile -t COMPREPLY < <(compgen -W "0.0.0.0 127.0.0.1 ::" -- "$word") ;;
    --workers) mapfile -t COMPREPLY < <(compgen -W "auto 1 2 4 8" -- "$word") ;;
    -b | --backend) mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") ;;
    -p | --port | -w | --weight | --health-check-*) ;;
    *)
      if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
      elif ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
      fi
      ;;
  esac
}
complete -F _ultrabalancer ultrabalancer
)";
  return out;
}

}  // namespace ub
