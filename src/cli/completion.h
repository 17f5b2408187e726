// Shell completions, made from the tables of flags and keys. They are shipped in conf/; `make
// generate` writes them anew after a change of a table, and a unit test holds them to it.
#ifndef UB_CLI_COMPLETION_H_
#define UB_CLI_COMPLETION_H_

#include <string>

namespace ub {

std::string BashCompletionText();  // conf/ultrabalancer.bash-completion
std::string ZshCompletionText();   // conf/ultrabalancer.zsh-completion

}  // namespace ub

#endif  // UB_CLI_COMPLETION_H_
