#include "cli/completion.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "cli/flags.h"
#include "core/config_keys.h"

namespace ub {
namespace {

std::string Joined(const std::vector<std::string_view>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

// Text inside the brackets and colons of an _arguments specification, inside single quotes.
std::string ZshText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// What zsh offers for a flag's argument.
std::string_view ZshAction(const FlagSpec& flag) {
  if (flag.argument == "FILE") return "_files";
  if (flag.name == "algorithm") return "($algorithms)";
  if (flag.name == "user") return "_users";
  if (flag.name == "group") return "_groups";
  if (flag.name == "backend") return "_hosts";
  if (flag.name == "host") return "(0.0.0.0 127.0.0.1 \\:\\:)";
  if (flag.name == "workers") return "(auto 1 2 4 8)";
  if (flag.letters == "s") return "(reload quit stop reopen)";
  if (flag.letters == "g") return "{compadd -S= -q -- $keys}";
  return " ";
}

std::string ZshFlags() {
  std::string out;
  for (const FlagSpec& flag : Flags()) {
    std::vector<std::string> forms;
    for (const char letter : flag.letters) forms.push_back(fmt::format("-{}", letter));
    if (!flag.name.empty()) {
      forms.push_back(fmt::format("--{}{}", flag.name, flag.argument.empty() ? "" : "="));
    }
    const std::string argument =
        flag.argument.empty() ? "" : fmt::format(":{}:{}", ZshText(flag.argument), ZshAction(flag));
    for (const std::string& form : forms) {
      out += fmt::format("    '*{}[{}]{}' \\\n", form, ZshText(flag.meaning), argument);
    }
  }
  return out;
}

}  // namespace

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
    --from) mapfile -t COMPREPLY < <(compgen -W "nginx haproxy" -- "$word") ;;
    -c | -f | --config | --pid-file | import)
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

std::string ZshCompletionText() {
  std::vector<std::string_view> keys;
  for (const ConfigKey& key : ConfigKeys()) keys.push_back(key.path);
  std::string out =
      "#compdef ultrabalancer\n"
      "# zsh completion for ultrabalancer(8), made from its tables of flags and keys\n\n"
      "_ultrabalancer() {\n";
  out += fmt::format("  local -a algorithms=({})\n", Joined(Choices(*FindConfigKey("algorithm"))));
  out += fmt::format("  local -a keys=({})\n", Joined(keys));
  out += "  local -a commands=(\n";
  for (const CommandSpec& command : Commands()) {
    out += fmt::format("    '{}:{}'\n", command.name, ZshText(command.meaning));
  }
  out += "  )\n  _arguments -s \\\n" + ZshFlags();
  out += R"(    '--format=[the format of example]:format:(yaml toml ini)' \
    '--diff[with validate: what a reload would change]' \
    '--watch[with status: draw it anew every second]' \
    '--from=[with import: the format]:format:(nginx haproxy)' \
    '--pool=[with import: the upstream or backend to carry over]:name: ' \
    '--export=[with dashboard: write files for Prometheus and Grafana]:directory:_files -/' \
    '1:command:{_describe command commands}' \
    '*:argument:{_ultrabalancer_argument}'
}

# What follows a command: the algorithm of start, the file of validate and import.
_ultrabalancer_argument() {
  case ${words[(r)(start|validate|import)]} in
    start) compadd -a algorithms ;;
    validate | import) _files ;;
  esac
}

_ultrabalancer "$@"
)";
  return out;
}

}  // namespace ub
