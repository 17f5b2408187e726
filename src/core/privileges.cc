#include "core/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace ub {

namespace {

Status Unknown(const char* key, const std::string& name) {
  return Status::Config(std::string(key) + ": no such " + key + " on this machine: " + name);
}

// Those that a master without root was given for its ports (CAP_NET_BIND_SERVICE), or root's where `user` is root.
Status DropCapabilities() {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) < 0) return Status::System("capset", errno);
  // Last: a change of identity sets it anew.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return Status::System("no core dumps", errno);
  return Status::Ok();
}

}  // namespace

Result<Identity> LookUpIdentity(const Config& config) {
  Identity identity;
  if (geteuid() != 0) {
    if (!config.user.empty() || !config.group.empty()) {
      identity.warning = "user and group are ignored: only root can change them";
    }
    return identity;
  }
  identity.change = true;
  identity.user = config.user.empty() ? "nobody" : config.user;
  const passwd* user = getpwnam(identity.user.c_str());
  if (user == nullptr) return Fail(Unknown("user", identity.user));
  identity.uid = user->pw_uid;
  identity.gid = user->pw_gid;
  // Some systems give nobody a group of its own, some nogroup; what its entry says is right on
  // either.
  if (!config.group.empty()) {
    const group* entry = getgrnam(config.group.c_str());
    if (entry == nullptr) return Fail(Unknown("group", config.group));
    identity.gid = entry->gr_gid;
  }
  return identity;
}

Status TakeIdentity(const Identity& identity) {
  if (identity.change) {
    // The order matters: without root the groups could not be changed any more.
    if (setgroups(0, nullptr) < 0) return Status::System("setgroups", errno);
    if (setresgid(identity.gid, identity.gid, identity.gid) < 0)
      return Status::System("setresgid", errno);
    if (setresuid(identity.uid, identity.uid, identity.uid) < 0)
      return Status::System("setresuid", errno);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Status::System("no_new_privs", errno);
  return DropCapabilities();
}

uint64_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return before;
  return limit.rlim_cur;
}

}  // namespace ub
