#include "core/syscall_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <thread>

namespace ub {
namespace {

// Runs `check` in a child that has taken the filter on; what it returns, or -1 where there is no filter.
int UnderFilter(const std::function<int()>& check) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !TakeSyscallFilter().ok()) _exit(99);
    _exit(check());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

bool Usable() {
  const char* why = "";
  return SyscallFilterUsable(&why);
}

// 0 where the call failed with `error`.
int Refused(long result, int error) {
  if (result == -1 && errno == error) return 0;
  return result == -1 ? errno : 98;
}

TEST(SyscallFilterTest, RefusesWhatNobodyHereNeeds) {
  if (!Usable()) GTEST_SKIP() << "no filter here";
  char* const arguments[] = {nullptr};
  const struct {
    const char* name;
    std::function<long()> call;
    int error;
  } calls[] = {
      {"execve", [&] { return execve("/bin/true", arguments, arguments); }, EPERM},
      {"execveat", [&] { return syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments, 0); }, EPERM},
      {"fork", [] { return fork(); }, EPERM},
      {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }, ENOSYS},
      {"a new user namespace", [] { return unshare(CLONE_NEWUSER); }, EPERM},
      {"ptrace", [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }, EPERM},
      {"kill", [] { return kill(getppid(), 0); }, EPERM},
      {"mount", [] { return mount("none", "/", "tmpfs", 0, nullptr); }, EPERM},
      {"setuid", [] { return setuid(0); }, EPERM},
      {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }, EPERM},
      {"keyctl", [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }, EPERM},
      {"io_uring", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }, ENOSYS},
      {"packet socket", [] { return socket(AF_PACKET, SOCK_DGRAM, 0); }, EAFNOSUPPORT},
      {"bluetooth socket", [] { return socket(AF_BLUETOOTH, SOCK_STREAM, 0); }, EAFNOSUPPORT},
      {"raw socket", [] { return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1); }, EPERM},
#if defined(__x86_64__)
      {"x32 call", [] { return syscall(0x40000000 | SYS_getpid); }, ENOSYS},
#endif
  };
  for (const auto& each : calls) {
    EXPECT_EQ(UnderFilter([&] { return Refused(each.call(), each.error); }), 0) << each.name;
  }
}

TEST(SyscallFilterTest, LetsAProxyDoItsWork) {
  if (!Usable()) GTEST_SKIP() << "no filter here";
  EXPECT_EQ(UnderFilter([] {
              int pair[2];
              if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return 1;
              for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
                if (socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) < 0) return 2;
              }
              bool ran = false;
              std::thread([&ran] { ran = true; }).join();
              if (!ran) return 3;
              addrinfo* found = nullptr;
              if (getaddrinfo("localhost", "80", nullptr, &found) != 0) return 4;
              FILE* file = tmpfile();
              return file != nullptr && fputs("x", file) >= 0 ? 0 : 5;
            }),
            0);
}

TEST(SyscallFilterTest, HoldsInThreadsAndLetsACrashBeACrash) {
  if (!Usable()) GTEST_SKIP() << "no filter here";
  EXPECT_EQ(UnderFilter([] {
              int refused = 0;
              std::thread([&refused] { refused = Refused(fork(), EPERM); }).join();
              return refused;
            }),
            0);
  EXPECT_EQ(UnderFilter([]() -> int { abort(); }), 100 + SIGABRT);
}

}  // namespace
}  // namespace ub
