#include "core/process_title.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace ub {
namespace {

// Arguments as the kernel lays them out, in memory of the test's own: the real ones are gtest's.
TEST(ProcessTitleTest, OverwritesTheArgumentsAndKeepsTheEnvironment) {
  const pid_t pid = fork();
  if (pid == 0) {
    static char area[] = "prog\0-c\0file.yaml";
    char* argv[] = {area, area + 5, area + 8, nullptr};
    setenv("UB_TITLE_TEST", "kept", 1);
    InitProcessTitle(3, argv);
    SetProcessTitle("ub: w 0");
    if (memcmp(area, "ub: w 0\0\0\0\0\0\0\0\0\0\0", sizeof(area) - 1) != 0) _exit(1);
    SetProcessTitle(std::string(500, 'x'));
    if (strlen(area) != sizeof(area) - 1) _exit(2);  // cut, and it ends where it must
    if (strcmp(getenv("UB_TITLE_TEST"), "kept") != 0) _exit(3);
    SetProcessTitle("ultrabalancer: worker 12");
    char name[16] = {};
    prctl(PR_GET_NAME, name, 0, 0, 0);
    if (strcmp(name, "ub worker 12") != 0) _exit(4);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace ub
