// What main() gives the master: where to begin, and by hooks what only the layers above core can
// do.
#ifndef UB_CORE_MASTER_OPTIONS_H_
#define UB_CORE_MASTER_OPTIONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/inheritance.h"
#include "core/shm_segment.h"
#include "core/status.h"

namespace ub {

// Either a configuration, checked and bound, or the lines that say what is wrong with it.
struct ReloadResult {
  std::shared_ptr<const Config> config;
  std::vector<std::string> errors;
  std::vector<std::string> warnings{};  // lines for the log, and for whoever asked
};

struct MasterHooks {
  // Reads the configuration again, from the same sources as at the start.
  std::function<ReloadResult()> reload;
  // Fills the backend table, once, before the first fork.
  std::function<Status(const Config&, ShmSegment&)> prepare;
  // What admin.state_file holds, as a text for the controller; empty: none is configured, or it cannot be read. Called at
  // start, at each reload and when an upgrade has failed.
  std::function<std::string(const Config&)> load_state;
  // The canonical text that children are handed; they parse it back.
  std::function<std::string(const Config&)> serialize;
  // What changes, in one line for the log. May be left empty.
  std::function<std::string(const Config& before, const Config& after)> diff;
};

struct MasterOptions {
  std::shared_ptr<const Config> config;
  std::string command_line;      // for the process title
  std::string default_pid_file;  // used as root where the configuration names none
  bool daemon = false;
  // How it was started: what USR2 executes again. Empty: no upgrade is possible.
  std::vector<std::string> arguments;
  Inheritance inherited;
};

}  // namespace ub

#endif  // UB_CORE_MASTER_OPTIONS_H_
