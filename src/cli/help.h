// The texts that commands print: help, versions, `info`. All from the tables of flags and keys.
#ifndef UB_CLI_HELP_H_
#define UB_CLI_HELP_H_

#include <string>

namespace ub {

std::string HelpText();              // at most 80 columns
std::string VersionText(bool full);  // -v, -V
std::string InfoText();              // `info`

}  // namespace ub

#endif  // UB_CLI_HELP_H_
