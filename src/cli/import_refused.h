// What the configuration refuses of a draft, taken out of it and no more than that. Used by
// ImportDraft alone.
#ifndef UB_CLI_IMPORT_REFUSED_H_
#define UB_CLI_IMPORT_REFUSED_H_

#include "core/config_node.h"

namespace ub {

// Takes out the values that the problems are about. A line of the input may have given several
// values, which all have its place: the key that a problem begins with tells which one is meant,
// and of a list's items the one that it names. False: there is none of them.
bool RemoveRefused(ConfigNode* root, const ConfigProblems& problems);

}  // namespace ub

#endif  // UB_CLI_IMPORT_REFUSED_H_
