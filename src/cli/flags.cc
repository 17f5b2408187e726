#include "cli/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "core/config_text.h"

namespace ub {
namespace {

constexpr std::string_view kBalancing = "Balancing";
constexpr std::string_view kHealth = "Health checks";
constexpr std::string_view kProcess = "Processes";
constexpr std::string_view kOther = "Configuration and control";

constexpr FlagSpec kFlags[] = {
    {"b", "backend", "HOST:PORT[:WEIGHT]", kBalancing,
     "a backend; repeatable; [::1]:80 and unix:/path too", "backends"},
    {"p", "port", "PORT", kBalancing, "port to listen on (default 8080)", "listen_port"},
    {"", "host", "ADDRESS", kBalancing, "address to listen on (default 0.0.0.0)", "listen_address"},
    {"a", "algorithm", "NAME", kBalancing, "how a backend is picked (default round-robin)",
     "algorithm"},
    {"w", "weight", "N", kBalancing, "weight of backends that give none (default 100)",
     "default_weight"},
    {"", "health-check-interval", "MS", kHealth, "between two probes (default 5000)",
     "health_check.interval_ms"},
    {"", "health-check-fails", "N", kHealth, "failed probes until down (default 3)",
     "health_check.max_failures"},
    {"", "health-check-path", "PATH", kHealth, "probe by HTTP and ask for PATH",
     "health_check.path"},
    {"", "no-health-check", "", kHealth, "no probes: every backend counts as up",
     "health_check.enabled", "false"},
    {"", "workers", "N|auto", kProcess, "worker processes (default auto)", "workers"},
    {"d", "daemon", "", kProcess, "run in the background"},
    {"", "pid-file", "FILE", kProcess, "where the process id is written", "pid_file"},
    {"", "user", "NAME", kProcess, "run workers as this user", "user"},
    {"", "group", "NAME", kProcess, "run workers as this group", "group"},
    {"cf", "config", "FILE", kOther, "read FILE (.yaml, .toml or .ini)"},
    {"g", "", "KEY=VALUE", kOther, "set any key, such as timeout.idle_ms=5s"},
    {"t", "", "", kOther, "test the configuration and exit"},
    {"T", "", "", kOther, "the same, and print it with its sources"},
    {"s", "", "SIGNAL", kOther, "tell the running master: reload quit stop reopen"},
    {"v", "version", "", kOther, "print the version"},
    {"V", "", "", kOther, "print the version and how it was built"},
    {"h", "help", "", kOther, "print this help"},
};

constexpr CommandSpec kCommands[] = {
    {"start", "ALGORITHM HOST:PORT...", "balance over these backends"},
    {"validate", "-f FILE [--diff]", "check a file; --diff: what a reload changes"},
    {"example", "[--format yaml|toml|ini]", "print a complete example configuration"},
    {"import", "FILE [--pool NAME]", "nginx or HAProxy configuration in, ours out"},
    {"status", "[--watch]", "a table of the running instance's backends"},
    {"dashboard", "[--export DIR]", "where it is; files for Prometheus, Grafana"},
    {"info", "", "print version, build, algorithms and defaults"},
    {"demo", "", "the balancer and three demo backends in one"},
};

std::string UnknownFlag(const std::string& given) {
  const std::string word = given.substr(0, given.find('='));
  std::vector<std::string> names;
  for (const FlagSpec& flag : kFlags) {
    if (!flag.name.empty()) names.push_back("--" + std::string(flag.name));
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view nearest = word.starts_with("--") ? NearestWord(word, views) : "";
  if (nearest.empty()) {
    return fmt::format("unknown flag \"{}\" (see ultrabalancer -h)", Printable(word));
  }
  return fmt::format("unknown flag \"{}\" (did you mean \"{}\"?)", Printable(word), nearest);
}

// CLI11 names a long option "--port" and a missing argument by type; ours is one line with what to
// do.
std::string Tidy(const CLI::ParseError& error, const std::vector<std::string>& words) {
  const std::string what = error.what();
  if (what.find("required") != std::string::npos) {
    const std::string name = what.substr(0, what.find(':'));
    for (const FlagSpec& flag : kFlags) {
      const bool long_form = name == "--" + std::string(flag.name);
      const bool short_form =
          name.size() == 2 && flag.letters.find(name[1]) != std::string_view::npos;
      if (long_form || short_form) return fmt::format("{} needs a value ({})", name, flag.argument);
    }
  }
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (word.starts_with("--") && equals != std::string::npos) {
      for (const FlagSpec& flag : kFlags) {
        if (flag.argument.empty() && word.substr(2, equals - 2) == flag.name) {
          return fmt::format("--{} takes no value (see ultrabalancer -h)", flag.name);
        }
      }
    }
  }
  return fmt::format("{} (see ultrabalancer -h)", Printable(what, 100));
}

std::string CheckCommand(const Arguments& arguments, const std::string& word) {
  std::vector<std::string_view> names;
  for (const CommandSpec& command : kCommands) names.push_back(command.name);
  if (std::ranges::find(names, std::string_view(word)) != names.end()) return {};
  const std::string_view nearest = NearestWord(word, names);
  if (!nearest.empty()) {
    return fmt::format("unknown command \"{}\" (did you mean \"{}\"?)", Printable(word), nearest);
  }
  const bool address = word.find(':') != std::string::npos && arguments.command.empty();
  return fmt::format("unknown command \"{}\" ({})", Printable(word),
                     address ? "backends are given with -b" : "see ultrabalancer -h");
}

// The command is the first word that is neither a flag nor a flag's value; CLI11 leaves those words
// over.
void TakeWords(const std::vector<std::string>& words, Arguments* out) {
  for (const std::string& word : words) {
    if (word.size() > 1 && word[0] == '-' && word != "--") {
      out->error = UnknownFlag(word);
      return;
    }
    if (word == "--") continue;
    if (out->command.empty()) {
      out->error = CheckCommand(*out, word);
      if (!out->error.empty()) return;
      out->command = word;
    } else {
      out->positional.push_back(word);
    }
  }
}

}  // namespace

std::string FlagSpec::Display() const {
  return name.empty() ? "-" + std::string(letters.substr(0, 1)) : "--" + std::string(name);
}

std::span<const FlagSpec> Flags() { return kFlags; }
std::span<const CommandSpec> Commands() { return kCommands; }

Arguments ParseArguments(int argc, const char* const* argv) {
  Arguments out;
  CLI::App app("ultrabalancer");
  app.set_help_flag("");
  app.allow_extras();
  std::map<const CLI::Option*, const FlagSpec*> specs;
  std::vector<std::unique_ptr<std::vector<std::string>>> values;
  for (const FlagSpec& flag : kFlags) {
    std::string names;
    for (const char letter : flag.letters) names += fmt::format("-{},", letter);
    if (!flag.name.empty()) names += fmt::format("--{},", flag.name);
    names.pop_back();
    CLI::Option* option = nullptr;
    if (flag.argument.empty()) {
      option = app.add_flag(names)->disable_flag_override();
    } else {
      values.push_back(std::make_unique<std::vector<std::string>>());
      option = app.add_option(names, *values.back());
      option->expected(1)->allow_extra_args(false)->multi_option_policy(
          CLI::MultiOptionPolicy::TakeAll);
    }
    specs[option] = &flag;
  }
  app.add_flag("--diff", out.diff)->disable_flag_override();
  app.add_flag("--watch", out.watch)->disable_flag_override();
  app.add_option("--format", out.format);
  app.add_option("--export", out.export_directory);
  app.add_option("--from", out.from);
  app.add_option("--pool", out.pool);

  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  try {
    // CLI11 takes a vector from its end.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    out.error = Tidy(error, words);
    return out;
  }
  std::map<const CLI::Option*, size_t> taken;
  for (const CLI::Option* option : app.parse_order()) {
    const auto found = specs.find(option);
    if (found == specs.end()) continue;
    const size_t index = taken[option]++;
    const std::vector<std::string>& results = option->results();
    out.flags.push_back({found->second, index < results.size() ? results[index] : std::string()});
  }
  TakeWords(app.remaining(), &out);
  return out;
}

}  // namespace ub
