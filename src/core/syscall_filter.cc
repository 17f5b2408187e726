#include "core/syscall_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <vector>

namespace ub {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
constexpr uint32_t kForeignBit = 0x40000000;  // x32: the same machine, other numbers
#elif defined(__aarch64__)
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
constexpr uint32_t kForeignBit = 0;
#else
constexpr uint32_t kMachine = 0;
constexpr uint32_t kForeignBit = 0;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||
                            __has_feature(memory_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

// Refused with EPERM. What a machine does not have is left out.
constexpr uint32_t kRefused[] = {
    // Programs and other processes.
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
    SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_personality,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd, SYS_pidfd_open, SYS_pidfd_send_signal,
#endif
#ifdef SYS_process_madvise
    SYS_process_madvise,
#endif
    // File systems and namespaces.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_quotactl,
    SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_mknodat,
#ifdef SYS_mknod
    SYS_mknod,
#endif
#ifdef SYS_move_mount
    SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
    // The machine and its kernel.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon,
    SYS_swapoff, SYS_acct, SYS_syslog, SYS_sethostname, SYS_setdomainname, SYS_settimeofday,
    SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_vhangup, SYS_bpf, SYS_perf_event_open,
    SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs,
#endif
    // Other users.
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid,
    SYS_setfsgid, SYS_setgroups, SYS_capset,
};

// Refused as calls that this kernel does not have: libc then does without.
constexpr uint32_t kUnknown[] = {
#ifdef SYS_clone3
    SYS_clone3,  // its flags lie in memory, where no filter can look
#endif
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#endif
};

constexpr uint32_t Refusal(int error) {
  return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & SECCOMP_RET_DATA);
}

void Load(std::vector<sock_filter>* program, size_t offset) {
  program->push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
}

// Returns `verdict` where what was loaded equals `value`.
void ReturnIf(std::vector<sock_filter>* program, uint32_t value, uint32_t verdict) {
  program->push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
  program->push_back(BPF_STMT(BPF_RET | BPF_K, verdict));
}

// The lower half of a call's argument (both machines are little-endian); flags and small numbers fit it.
constexpr size_t Argument(int n) {
  return offsetof(seccomp_data, args) + static_cast<size_t>(n) * sizeof(uint64_t);
}

// With the call's number loaded: clone() may make threads only.
void AddClone(std::vector<sock_filter>* program) {
  program->push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
  Load(program, Argument(0));
  program->push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1));
  program->push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  program->push_back(BPF_STMT(BPF_RET | BPF_K, Refusal(EPERM)));
}

// The same for socket(): families that a proxy and its resolver use, and no raw packets.
void AddSocket(std::vector<sock_filter>* program) {
  constexpr uint32_t kFamilies[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
  constexpr uint32_t kKindMask = 0xf;  // behind it stand SOCK_NONBLOCK and SOCK_CLOEXEC
  constexpr size_t kLength = 2 + 2 * 2 + 1 + std::size(kFamilies) * 2 + 1;
  program->push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, kLength));
  Load(program, Argument(1));
  program->push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kKindMask));
  ReturnIf(program, SOCK_RAW, Refusal(EPERM));
  ReturnIf(program, SOCK_PACKET, Refusal(EPERM));
  Load(program, Argument(0));
  for (const uint32_t family : kFamilies) ReturnIf(program, family, SECCOMP_RET_ALLOW);
  program->push_back(BPF_STMT(BPF_RET | BPF_K, Refusal(EAFNOSUPPORT)));
}

std::vector<sock_filter> BuildProgram() {
  std::vector<sock_filter> program;
  Load(&program, offsetof(seccomp_data, arch));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 1, 0));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, Refusal(ENOSYS)));
  Load(&program, offsetof(seccomp_data, nr));
  if (kForeignBit != 0) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kForeignBit, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, Refusal(ENOSYS)));
  }
  for (const uint32_t call : kRefused) ReturnIf(&program, call, Refusal(EPERM));
  for (const uint32_t call : kUnknown) ReturnIf(&program, call, Refusal(ENOSYS));
  AddClone(&program);
  AddSocket(&program);
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return program;
}

}  // namespace

bool SyscallFilterUsable(const char** why) {
  const char* preloaded = getenv("LD_PRELOAD");
  if (kMachine == 0) {
    *why = "not known for this kind of machine";
  } else if (kSanitized) {
    *why = "built with a sanitizer";
  } else if (preloaded != nullptr && strstr(preloaded, "vgpreload") != nullptr) {
    *why = "run by valgrind";
  } else if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
    *why = "this kernel has none";
  } else {
    return true;
  }
  return false;
}

Status TakeSyscallFilter() {
  std::vector<sock_filter> program = BuildProgram();
  const sock_fprog filter{static_cast<uint16_t>(program.size()), program.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) {
    return Status::System("seccomp filter", errno);
  }
  return Status::Ok();
}

}  // namespace ub
