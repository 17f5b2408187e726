#include "core/privileges.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ub {
namespace {

TEST(PrivilegesTest, RootBecomesNobodyForGood) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can show this";
  Result<Identity> identity = LookUpIdentity(Config{});
  ASSERT_TRUE(identity);
  EXPECT_TRUE(identity->change);
  EXPECT_EQ(identity->user, "nobody");
  const pid_t pid = fork();
  if (pid == 0) {
    if (!TakeIdentity(*identity).ok()) _exit(1);
    if (getuid() != identity->uid || geteuid() != identity->uid || getegid() != identity->gid)
      _exit(2);
    if (getgroups(0, nullptr) != 0) _exit(3);
    if (setuid(0) == 0) _exit(4);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) _exit(5);
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) _exit(6);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(PrivilegesTest, NobodyKeepsCapabilitiesNotEvenRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root has some to lose";
  Config config;
  config.user = "root";
  const Result<Identity> identity = LookUpIdentity(config);
  ASSERT_TRUE(identity);
  const pid_t pid = fork();
  if (pid == 0) {
    if (!TakeIdentity(*identity).ok()) _exit(1);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capget, &header, held) < 0) _exit(2);
    _exit((held[0].effective | held[0].permitted | held[1].effective | held[1].permitted) == 0 ? 0 : 3);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(PrivilegesTest, UnknownNamesAreConfigurationErrors) {
  if (geteuid() != 0) GTEST_SKIP() << "only root looks names up";
  Config config;
  config.user = "no-such-user-here";
  Result<Identity> identity = LookUpIdentity(config);
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().source(), StatusSource::kConfig);
  EXPECT_NE(identity.error().detail().find("no-such-user-here"), std::string::npos);
  config.user = "nobody";
  config.group = "no-such-group-here";
  EXPECT_FALSE(LookUpIdentity(config));
}

TEST(PrivilegesTest, OthersStayWhoTheyAreAndAreWarned) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(1);
    Config config;
    if (LookUpIdentity(config)->change || !LookUpIdentity(config)->warning.empty()) _exit(2);
    config.user = "daemon";
    if (LookUpIdentity(config)->change || LookUpIdentity(config)->warning.empty()) _exit(3);
    if (!TakeIdentity(*LookUpIdentity(config)).ok()) _exit(4);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(PrivilegesTest, FileLimitIsRaisedToTheHardOne) {
  const pid_t pid = fork();
  if (pid == 0) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    const uint64_t raised = RaiseFileLimit();
    getrlimit(RLIMIT_NOFILE, &limit);
    _exit(raised == limit.rlim_max && limit.rlim_cur == limit.rlim_max ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace ub
