// Which user the children run as. The master looks it up before the first fork, each child takes it
// on.
//
// The master keeps its rights: it opens ports and logs and must exec on an upgrade. Children give
// theirs up for good (no_new_privs included).
#ifndef UB_CORE_PRIVILEGES_H_
#define UB_CORE_PRIVILEGES_H_

#include <sys/types.h>

#include <string>

#include "core/config.h"
#include "core/status.h"

namespace ub {

struct Identity {
  bool change = false;  // false: stay who we are
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user;
  std::string warning;  // for the log, empty if none
};

// Master. Started as root: `user` (default nobody) and `group` (default: the user's own). Otherwise nobody new, with a warning where a user was configured. Error: no such
// user or group.
Result<Identity> LookUpIdentity(const Config& config);

// Child, once: the user and its one group, no capabilities, no way to get any (no_new_privs). Its memory, full of what clients
// sent, is written to no core file and shown to no process but root's.
Status TakeIdentity(const Identity& identity);

// Raises the soft limit of open files to the hard one; returns the limit in force.
uint64_t RaiseFileLimit();

}  // namespace ub

#endif  // UB_CORE_PRIVILEGES_H_
