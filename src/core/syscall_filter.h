// What a child process can never ask the kernel for again: a seccomp filter that refuses system calls which neither a worker
// nor the controller has a use for, but somebody who took one over would.
//
// A list of what is refused, not of what is allowed: libc, the allocator and the resolver may change how they do their
// work, and none of them ever runs a program, traces a process or mounts a file system. Refused are: running programs and
// making processes (threads are allowed), looking into other processes, sockets but of the internet, unix and netlink,
// namespaces and mounts, kernel modules, keys, BPF, io_uring (it goes past such filters), becoming another user, and calls
// of another machine's numbering. They fail with EPERM, or as if the kernel had no such call; nothing is killed.
//
// The master takes none on: it must fork, and run the new binary in an upgrade. Any process; inherited by threads.
#ifndef UB_CORE_SYSCALL_FILTER_H_
#define UB_CORE_SYSCALL_FILTER_H_

#include "core/status.h"

namespace ub {

// False where this kernel or machine has no such filters, with sanitizers (they fork to look for leaks) and under
// valgrind; *why then says which.
bool SyscallFilterUsable(const char** why);

// Takes it on for good. no_new_privs must be set. Errors: kSystem.
Status TakeSyscallFilter();

}  // namespace ub

#endif  // UB_CORE_SYSCALL_FILTER_H_
