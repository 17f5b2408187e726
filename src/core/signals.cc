#include "core/signals.h"

#include <cerrno>
#include <cstddef>

namespace ub {

namespace {

constexpr int kSignals[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};

volatile sig_atomic_t raised[NSIG];
sigset_t wait_mask;

void Note(int signal_number) { raised[signal_number] = 1; }

void SetAction(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, nullptr);
}

bool Take(int signal_number) {
  const bool was = raised[signal_number] != 0;
  raised[signal_number] = 0;
  return was;
}

}  // namespace

void InstallSignals() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal_number : kSignals) sigaddset(&ours, signal_number);
  sigprocmask(SIG_BLOCK, &ours, &wait_mask);
  // Whoever started us may have blocked some; we want them while we wait.
  for (const int signal_number : kSignals) {
    sigdelset(&wait_mask, signal_number);
    raised[signal_number] = 0;
    SetAction(signal_number, Note);
  }
  SetAction(SIGPIPE, SIG_IGN);
}

SignalFlags TakeSignals() {
  SignalFlags flags;
  flags.child = Take(SIGCHLD);
  const bool interrupt = Take(SIGINT);
  flags.stop = Take(SIGTERM) || interrupt;
  flags.quit = Take(SIGQUIT);
  flags.reload = Take(SIGHUP);
  flags.reopen = Take(SIGUSR1);
  flags.upgrade = Take(SIGUSR2);
  flags.drain_workers = Take(SIGWINCH);
  return flags;
}

const sigset_t& WaitMask() { return wait_mask; }

void ResetSignals(bool in_child) {
  for (const int signal_number : kSignals) {
    SetAction(signal_number, in_child && signal_number != SIGCHLD ? SIG_IGN : SIG_DFL);
    raised[signal_number] = 0;
  }
  SetAction(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_SETMASK, &wait_mask, nullptr);
}

}  // namespace ub
