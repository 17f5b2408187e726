#include "core/child_process.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/cpu_affinity.h"
#include "core/log.h"
#include "core/privileges.h"
#include "core/process_title.h"
#include "core/signals.h"
#include "core/syscall_filter.h"

#ifdef UB_COUNTS_RUNS
extern "C" void __gcov_dump();  // of GCC's runtime
#endif

namespace ub {

namespace {

int RunChild(ChildContext& context, const ChildMains& mains, const Identity& identity) {
  const bool worker = context.kind == ChildKind::kWorker;
  const std::string role = worker ? "worker " + std::to_string(context.worker_id) : "controller";
  SetLogRole(role);
  SetProcessTitle("ultrabalancer: " + role);
  const Status status = TakeIdentity(identity);
  if (!status.ok()) {
    Log(LogLevel::kError, "cannot give up privileges: {}", status.ToString());
    return 1;
  }
  if (worker && context.config->cpu_affinity) {
    const Result<int> cpu = BindToCpu(context.worker_id);
    if (!cpu) Log(LogLevel::kWarn, "not bound to a CPU: {}", cpu.error().ToString());
  }
  const char* why = "";
  if (SyscallFilterUsable(&why)) {
    const Status filtered = TakeSyscallFilter();
    if (!filtered.ok()) Log(LogLevel::kWarn, "system calls are not filtered: {}", filtered.ToString());
  }
  return worker ? mains.worker(context) : mains.controller(context);
}

// In builds that count how often each line runs (--enable-coverage, --enable-pgo): the counts would be lost in _exit.
// Not counted itself, for it is another function in the build that uses the counts.
[[gnu::noinline, gnu::no_profile_instrument_function]] void WriteCounts() {
#ifdef UB_COUNTS_RUNS
  __gcov_dump();
#else
  asm volatile("");  // keeps the call
#endif
}

}  // namespace

Result<pid_t> ForkChild(ChildContext context, const ChildMains& mains, const Identity& identity,
                        const std::function<void()>& before) {
  const pid_t pid = fork();
  if (pid < 0) return Fail(Status::System("fork", errno));
  if (pid > 0) return pid;
  before();
  ResetSignals(true);
  // _exit: what the master registered to run at its end is not the child's to run.
  const int status = RunChild(context, mains, identity);
  WriteCounts();
  _exit(status);
}

}  // namespace ub
