// The command `ultrabalancer import` around the importers: reads the file or standard input, asks
// the machine for its users, prints. Runs once, in main, before any fork.
#ifndef UB_CLI_IMPORT_COMMAND_H_
#define UB_CLI_IMPORT_COMMAND_H_

#include "cli/import.h"

namespace ub {

// options.has_user and has_group need not be set. The exit status: 0, or 1 where the input is bad.
int RunImport(ImportOptions options);

}  // namespace ub

#endif  // UB_CLI_IMPORT_COMMAND_H_
