// The only place that composes the layers: command line, configuration, master, and the bodies of its children.
#include <cstdio>

#include "cli/cli.h"
#include "cli/demo.h"
#include "core/master.h"
#include "core/process_title.h"
#include "http/health_probe_http.h"
#include "http/management_service.h"
#include "http/worker.h"
#include "upstream/controller.h"
#include "upstream/runtime_state.h"

namespace {

int RunController(ub::ChildContext& child) {
  ub::HttpProbeFactory probes;
  ub::HttpManagement management;
  return ub::ControllerMain(child, &probes, &management);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  ub::InitProcessTitle(argc, argv);
  ub::CliAction action = ub::ParseCommandLine(argc, argv);
  if (const std::optional<int> status = ub::RunCommand(action)) return *status;

  ub::Inheritance inherited = ub::TakeInheritance();
  ub::DemoBackends demo;
  if (action.demo && !demo.StartFor(&action)) return 1;

  int status = 1;
  std::optional<ub::LoadedConfig> loaded = ub::LoadOrExplain(action.source, &status);
  if (!loaded) return status;
  // The demo runs without its text, too.
  if (action.demo) ub::WriteOut(ub::DemoText(*loaded->config), 0);

  ub::MasterOptions options;
  options.config = loaded->config;
  options.command_line = action.command_line;
  options.default_pid_file = ub::DefaultPidFile();
  options.daemon = action.daemon;
  // The demo brings backends of its own, which a second one would bring again.
  if (!action.demo) options.arguments = ub::UpgradeArguments(arguments);
  options.inherited = std::move(inherited);

  ub::MasterHooks hooks;
  hooks.reload = [&action] { return ub::ReloadConfig(action.source); };
  hooks.prepare = ub::PrepareBackends;
  hooks.load_state = ub::LoadRuntimeState;
  hooks.serialize = ub::SerializeConfig;
  hooks.diff = [](const ub::Config& before, const ub::Config& after) { return ub::DiffConfig(before, after).text; };

  return ub::Master(std::move(options), {ub::WorkerMain, RunController}, std::move(hooks)).Run();
}
