#include "core/signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ub {
namespace {

// Each in a process of its own: handlers and masks are the process's.
int InChild(int (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(SignalsTest, ComeOnlyWhileWaiting) {
  EXPECT_EQ(InChild([] {
              InstallSignals();
              kill(getpid(), SIGHUP);
              kill(getpid(), SIGINT);
              if (TakeSignals().reload) return 1;  // blocked until the wait
              const timespec zero{};
              ppoll(nullptr, 0, &zero, &WaitMask());
              const SignalFlags flags = TakeSignals();
              if (!flags.reload || !flags.stop || flags.quit || flags.child || flags.reopen)
                return 2;
              return TakeSignals().reload ? 3 : 0;  // taken
            }),
            0);
}

TEST(SignalsTest, EachHasItsFlag) {
  EXPECT_EQ(InChild([] {
              InstallSignals();
              const timespec zero{};
              const auto after = [&zero](int number) {
                kill(getpid(), number);
                ppoll(nullptr, 0, &zero, &WaitMask());
                return TakeSignals();
              };
              const bool all = after(SIGCHLD).child && after(SIGTERM).stop && after(SIGINT).stop &&
                               after(SIGQUIT).quit && after(SIGHUP).reload &&
                               after(SIGUSR1).reopen && after(SIGUSR2).upgrade &&
                               after(SIGWINCH).drain_workers;
              return all ? 0 : 1;
            }),
            0);
}

TEST(SignalsTest, AChildIgnoresThemAll) {
  EXPECT_EQ(InChild([] {
              InstallSignals();
              ResetSignals(true);
              for (const int number :
                   {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE}) {
                raise(number);
              }
              sigset_t blocked;
              sigprocmask(SIG_BLOCK, nullptr, &blocked);
              return sigismember(&blocked, SIGTERM) == 1 ? 1 : 0;
            }),
            0);
}

TEST(SignalsTest, DefaultsComeBack) {
  EXPECT_EQ(InChild([] {
              InstallSignals();
              ResetSignals(false);
              raise(SIGTERM);
              return 1;
            }),
            1000 + SIGTERM);
}

}  // namespace
}  // namespace ub
