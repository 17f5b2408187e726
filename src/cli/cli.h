// The command line: from arguments to what main() is to do. The top layer, used by main.cc alone,
// before any fork.
//
//   CliAction action = ParseCommandLine(argc, argv);
//   if (std::optional<int> status = RunCommand(action)) return *status;
//   (for the demo: DemoBackends::StartFor fills in action.source)
//   std::optional<LoadedConfig> loaded = LoadOrExplain(action.source, &status);
//   if (!loaded) return status;
//   Master(...).Run(), whose reload hook calls ReloadConfig(action.source)
#ifndef UB_CLI_CLI_H_
#define UB_CLI_CLI_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "core/config_load.h"
#include "core/master_options.h"

namespace ub {

struct CliAction {
  enum class Kind {
    kExit,       // print `out` and `err`, leave with `status`
    kRun,        // run the balancer
    kTest,       // -t, validate
    kTestPrint,  // -T
    kSignal,     // -s
    kDiff,       // validate --diff
    kStatus,     // status
    kDashboard,  // dashboard
    kImport,     // import
  };
  Kind kind = Kind::kExit;
  int status = 0;
  std::string out, err;      // kExit: whole lines
  ConfigSource source;       // all but kExit and kImport
  bool daemon = false;       // kRun
  bool demo = false;         // kRun
  bool watch = false;        // kStatus
  ImportOptions import;      // kImport
  std::string directory;     // kDashboard: where to write; empty: nowhere
  std::string signal;        // kSignal: reload, quit, stop or reopen
  std::string command_line;  // for the process title: the arguments, joined
};

CliAction ParseCommandLine(int argc, const char* const* argv);

// Does everything but kRun, and prints. nullopt: the action is kRun.
std::optional<int> RunCommand(const CliAction& action);

// Loads; prints warnings and errors on standard error. nullopt: *status is the exit status (1, or 2
// where flags are wrong).
std::optional<LoadedConfig> LoadOrExplain(const ConfigSource& source, int* status);

// As the master's reload hook wants it.
ReloadResult ReloadConfig(const ConfigSource& source);

// "ultrabalancer: LINE", one write each, on standard error.
void PrintErrors(const std::vector<std::string>& lines);

// What a command was asked to print, on standard output. `status`, or 1 where it cannot be written.
int WriteOut(std::string_view text, int status);

// RUNSTATEDIR/ultrabalancer.pid: MasterOptions::default_pid_file.
std::string DefaultPidFile();

}  // namespace ub

#endif  // UB_CLI_CLI_H_
