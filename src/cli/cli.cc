#include "cli/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "cli/dashboard_command.h"
#include "cli/flags.h"
#include "cli/help.h"
#include "cli/import_command.h"
#include "cli/status_command.h"
#include "core/config_keys.h"
#include "core/config_print.h"
#include "core/config_text.h"
#include "core/signal_master.h"
#include "event/tls_context.h"

#if __has_include("build_config.h")
#include "build_config.h"
#endif
#ifndef UB_RUNSTATEDIR
#define UB_RUNSTATEDIR "/run"
#endif

namespace ub {
namespace {

CliAction Usage(const std::string& text) {
  CliAction action;
  action.status = 2;
  action.err = fmt::format("ultrabalancer: {}\n", text);
  return action;
}

CliAction Print(std::string text) {
  CliAction action;
  action.out = std::move(text);
  return action;
}

CliAction ExampleAction(const Arguments& arguments) {
  const std::string& format = arguments.format;
  if (!arguments.positional.empty())
    return Usage("example takes no arguments (--format yaml|toml|ini)");
  if (format.empty() || format == "yaml") return Print(PrintExample(ConfigFormat::kYaml));
  if (format == "toml") return Print(PrintExample(ConfigFormat::kToml));
  if (format == "ini") return Print(PrintExample(ConfigFormat::kIni));
  const std::string_view nearest = NearestWord(format, {"yaml", "toml", "ini"});
  return Usage(
      nearest.empty()
          ? fmt::format("--format: unknown value \"{}\" (yaml, toml or ini)", Printable(format))
          : fmt::format("--format: unknown value \"{}\" (did you mean \"{}\"?)", Printable(format),
                        nearest));
}

CliAction ImportAction(const Arguments& arguments) {
  if (arguments.positional.size() != 1 || arguments.positional[0].empty()) {
    return Usage("import needs one file (such as: import nginx.conf)");
  }
  if (!arguments.from.empty() && arguments.from != "nginx" && arguments.from != "haproxy") {
    return Usage(
        fmt::format("--from: unknown value \"{}\" (nginx or haproxy)", Printable(arguments.from)));
  }
  CliAction action;
  action.kind = CliAction::Kind::kImport;
  action.import = {.file = arguments.positional[0], .from = arguments.from, .pool = arguments.pool};
  return action;
}

// What the flags say, into the action. Empty: fine; else what is wrong.
std::string TakeFlags(const Arguments& arguments, CliAction* action) {
  bool test = false, test_print = false, signal = false;
  for (const GivenFlag& given : arguments.flags) {
    const FlagSpec& flag = *given.spec;
    if (!flag.path.empty()) {
      const std::string_view value = flag.argument.empty() ? flag.value : given.value;
      action->source.flags.push_back({flag.Display(), std::string(flag.path), std::string(value)});
    } else if (flag.name == "config") {
      if (given.value.empty()) return "--config needs a value (FILE)";
      action->source.file = given.value;
    } else if (flag.name == "daemon") {
      action->daemon = true;
    } else if (flag.letters == "g") {
      const size_t equals = given.value.find('=');
      if (equals == std::string::npos || equals == 0) {
        return fmt::format("-g \"{}\" is not KEY=VALUE (such as -g timeout.idle_ms=5s)",
                           Printable(given.value));
      }
      const std::string key = given.value.substr(0, equals);
      action->source.flags.push_back({"-g " + key, key, given.value.substr(equals + 1)});
    } else if (flag.letters == "t") {
      test = true;
    } else if (flag.letters == "T") {
      test_print = true;
    } else if (flag.letters == "s") {
      signal = true;
      action->signal = given.value;
    }
  }
  if (signal && (test || test_print)) return "-s goes with neither -t nor -T (give one of them)";
  if (signal && !arguments.command.empty()) {
    return fmt::format("-s goes with no command (remove {})", arguments.command);
  }
  if (test) action->kind = CliAction::Kind::kTest;
  if (test_print) action->kind = CliAction::Kind::kTestPrint;
  if (signal) action->kind = CliAction::Kind::kSignal;
  return {};
}

// What a command's arguments add. Empty: fine; else what is wrong.
std::string TakeCommand(const Arguments& arguments, CliAction* action) {
  const std::vector<std::string>& words = arguments.positional;
  if (arguments.command.empty()) return {};
  if (arguments.command == "start") {
    if (words.size() < 2)
      return "start needs ALGORITHM HOST:PORT... (such as: start random a:80 b:80)";
    action->source.flags.push_back({"ALGORITHM", "algorithm", words[0]});
    for (size_t i = 1; i < words.size(); ++i) {
      action->source.flags.push_back({"HOST:PORT", "backends", words[i]});
    }
    return {};
  }
  if (arguments.command == "validate") {
    if (action->kind != CliAction::Kind::kTestPrint) action->kind = CliAction::Kind::kTest;
    if (words.size() == 1 && action->source.file.empty()) {
      action->source.file = words[0];
    } else if (!words.empty()) {
      return "validate takes one file (validate -f FILE)";
    }
    if (action->source.file.empty()) return "validate needs a file (validate -f FILE)";
    if (arguments.diff) action->kind = CliAction::Kind::kDiff;
    return {};
  }
  if (!words.empty()) return fmt::format("{} takes no arguments", arguments.command);
  if (action->kind != CliAction::Kind::kRun) {
    return fmt::format("{} goes with neither -t nor -T (remove it)", arguments.command);
  }
  if (arguments.command == "status") {
    action->kind = CliAction::Kind::kStatus;
    action->watch = arguments.watch;
  }
  if (arguments.command == "dashboard") {
    action->kind = CliAction::Kind::kDashboard;
    action->directory = arguments.export_directory;
  }
  if (arguments.command == "demo") {
    action->demo = true;
    if (action->daemon) return "demo runs in the foreground (remove -d)";
    for (const ConfigFlag& flag : action->source.flags) {
      if (flag.path == "backends") return "demo brings its own backends (remove -b)";
    }
  }
  return {};
}

bool HasBackends(const ConfigSource& source) {
  if (!source.file.empty()) return true;
  if (source.use_environment && source.environment.contains("ULTRA_BACKENDS")) return true;
  for (const ConfigFlag& flag : source.flags) {
    if (flag.path == "backends") return true;
  }
  return false;
}

// 0, or the error: nobody reads, or the disk is full.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    if (size == 0) return EIO;  // it takes nothing, and errno is an older call's
    text.remove_prefix(static_cast<size_t>(size));
  }
  return 0;
}

// The arguments as the process title may show them to everybody: without secrets.
std::string TitleOf(int argc, const char* const* argv) {
  std::string out;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    const size_t equals = std::min(word.find('='), word.size());
    const size_t start = word.starts_with("-g") ? 2 : 0;
    const ConfigKey* key = FindConfigKey(word.substr(start, equals - start));
    const bool secret = key != nullptr && key->type == KeyType::kSecret;
    if (secret) word = word.substr(0, equals);
    out += fmt::format("{}{}{}", i > 1 ? " " : "", word, secret ? "=(hidden)" : "");
  }
  return out;
}

int Test(const CliAction& action) {
  int status = 0;
  const std::optional<LoadedConfig> loaded = LoadOrExplain(action.source, &status);
  if (!loaded) return status;
  if (action.kind == CliAction::Kind::kTestPrint) {
    status = WriteOut(PrintMergedConfig(*loaded), 0);
    if (status != 0) return status;
  }
  // On standard error, as the errors are: standard output is -T's.
  const std::string name = action.source.file.empty() ? "command line" : action.source.file;
  PrintErrors({fmt::format("{}: the configuration is good", name)});
  return 0;
}

int Signal(const CliAction& action) {
  const Result<MasterSignal> signal = ParseMasterSignal(action.signal);
  if (!signal) {
    const std::string_view nearest =
        NearestWord(action.signal, {"reload", "quit", "stop", "reopen"});
    PrintErrors({nearest.empty()
                     ? fmt::format("-s: unknown signal \"{}\" (reload, quit, stop or reopen)",
                                   Printable(action.signal))
                     : fmt::format("-s: unknown signal \"{}\" (did you mean \"{}\"?)",
                                   Printable(action.signal), nearest)});
    return 2;
  }
  tl::expected<std::string, ConfigErrors> pid_file = LoadPidFile(action.source);
  if (!pid_file) {
    PrintErrors(pid_file.error().lines);
    return 1;
  }
  const std::string path = pid_file->empty() ? DefaultPidFile() : *pid_file;
  std::vector<std::string> lines;
  const Status status = SignalMaster(path, *signal, kReloadTimeoutMs, &lines);
  if (status.ok()) {
    for (std::string& line : lines) line.insert(0, "warning: ");
    PrintErrors(lines);
    return 0;
  }
  std::string_view rest = status.detail();
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    if (end != 0) lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (lines.empty()) lines.push_back(status.ToString());
  PrintErrors(lines);
  return 1;
}

// What the file would change of what the running instance works by.
int Diff(const CliAction& action) {
  int status = 0;
  const std::optional<LoadedConfig> loaded = LoadOrExplain(action.source, &status);
  if (!loaded) return status;
  const Result<std::vector<std::string>> lines = DiffRunning(*loaded->config);
  if (!lines) {
    PrintErrors({lines.error().detail()});
    return 1;
  }
  std::string out;
  for (const std::string& line : *lines) out += line + "\n";
  return WriteOut(lines->empty() ? "a reload would change nothing\n" : out, 0);
}

int AskRunning(const CliAction& action) {
  const tl::expected<AdminConfig, ConfigErrors> admin = LoadAdminConfig(action.source);
  if (!admin) {
    PrintErrors(admin.error().lines);
    return 1;
  }
  if (action.kind == CliAction::Kind::kStatus) return RunStatus(*admin, action.watch);
  return RunDashboard(*admin, action.directory);
}

}  // namespace

CliAction ParseCommandLine(int argc, const char* const* argv) {
  const Arguments arguments = ParseArguments(argc, argv);
  for (const GivenFlag& given : arguments.flags) {
    if (given.spec->name == "help" && arguments.error.empty()) return Print(HelpText());
    if (given.spec->name == "version" && arguments.error.empty()) return Print(VersionText(false));
    if (given.spec->letters == "V" && arguments.error.empty()) return Print(VersionText(true));
  }
  if (!arguments.error.empty()) return Usage(arguments.error);
  if (arguments.diff && arguments.command != "validate") return Usage("--diff belongs to validate");
  if (arguments.watch && arguments.command != "status") return Usage("--watch belongs to status");
  if (!arguments.export_directory.empty() && arguments.command != "dashboard") {
    return Usage("--export belongs to dashboard");
  }
  if (!arguments.format.empty() && arguments.command != "example") {
    return Usage("--format belongs to example");
  }
  if (!arguments.from.empty() && arguments.command != "import") {
    return Usage("--from belongs to import");
  }
  if (!arguments.pool.empty() && arguments.command != "import") {
    return Usage("--pool belongs to import");
  }
  if (arguments.command == "example" || arguments.command == "info" ||
      arguments.command == "import") {
    if (!arguments.flags.empty()) {
      return Usage(fmt::format("{} takes no flags (remove {})", arguments.command,
                               arguments.flags[0].spec->Display()));
    }
    if (arguments.command == "example") return ExampleAction(arguments);
    if (arguments.command == "import") return ImportAction(arguments);
    if (!arguments.positional.empty()) return Usage("info takes no arguments");
    return Print(InfoText());
  }

  CliAction action;
  action.kind = CliAction::Kind::kRun;
  action.source = ConfigSource::FromProcess();
  action.source.check_tls = InspectTls;
  action.command_line = TitleOf(argc, argv);
  if (const std::string wrong = TakeFlags(arguments, &action); !wrong.empty()) return Usage(wrong);
  if (const std::string wrong = TakeCommand(arguments, &action); !wrong.empty())
    return Usage(wrong);
  const bool asks_running = action.kind == CliAction::Kind::kSignal ||
                            action.kind == CliAction::Kind::kStatus ||
                            action.kind == CliAction::Kind::kDashboard;
  const bool needs_backends = !asks_running && !action.demo;
  if (needs_backends && !HasBackends(action.source)) {
    return Usage(
        "no backends are given (-b HOST:PORT, or -c FILE; to look around: ultrabalancer demo)");
  }
  return action;
}

std::optional<int> RunCommand(const CliAction& action) {
  switch (action.kind) {
    case CliAction::Kind::kExit:
      WriteAll(STDERR_FILENO, action.err);
      return WriteOut(action.out, action.status);
    case CliAction::Kind::kTest:
    case CliAction::Kind::kTestPrint:
      return Test(action);
    case CliAction::Kind::kSignal:
      return Signal(action);
    case CliAction::Kind::kDiff:
      return Diff(action);
    case CliAction::Kind::kStatus:
    case CliAction::Kind::kDashboard:
      return AskRunning(action);
    case CliAction::Kind::kImport:
      return RunImport(action.import);
    case CliAction::Kind::kRun:
      break;
  }
  return std::nullopt;
}

std::optional<LoadedConfig> LoadOrExplain(const ConfigSource& source, int* status) {
  tl::expected<LoadedConfig, ConfigErrors> loaded = LoadConfig(source);
  if (!loaded) {
    PrintErrors(loaded.error().lines);
    *status = loaded.error().wrong_usage ? 2 : 1;
    return std::nullopt;
  }
  std::vector<std::string> lines;
  for (const std::string& warning : loaded->warnings) lines.push_back("warning: " + warning);
  PrintErrors(lines);
  return std::move(*loaded);
}

ReloadResult ReloadConfig(const ConfigSource& source) {
  tl::expected<LoadedConfig, ConfigErrors> loaded = LoadConfig(source);
  if (!loaded) return {nullptr, std::move(loaded.error().lines)};
  return {std::move(loaded->config), {}, std::move(loaded->warnings)};
}

void PrintErrors(const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    WriteAll(STDERR_FILENO, fmt::format("ultrabalancer: {}\n", line));
}

int WriteOut(std::string_view text, int status) {
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == 0) return status;
  PrintErrors({fmt::format("cannot write to standard output: {}", std::strerror(error))});
  return 1;
}

std::string DefaultPidFile() { return UB_RUNSTATEDIR "/ultrabalancer.pid"; }

}  // namespace ub
