// Signals as flags: a handler notes that the signal came, the master's loop acts on it.
//
// Master only. The signals stay blocked except while the loop waits in ppoll, so nothing is missed
// and nothing is interrupted half-way. Children ignore them: a terminal's ^C or systemd's TERM to
// the whole group reaches them too, and they must not leave before the master says so.
#ifndef UB_CORE_SIGNALS_H_
#define UB_CORE_SIGNALS_H_

#include <signal.h>

namespace ub {

struct SignalFlags {
  bool child = false;          // CHLD: a child died
  bool stop = false;           // TERM, INT: fast stop
  bool quit = false;           // QUIT: graceful quit
  bool reload = false;         // HUP
  bool reopen = false;         // USR1: reopen the logs
  bool upgrade = false;        // USR2: a new binary
  bool drain_workers = false;  // WINCH: drain the workers, keep the master
};

// Blocks the master's signals and installs the handlers. The mask before that is restored by
// ResetSignals.
void InstallSignals();
// What came since the last call. Call with the signals blocked.
SignalFlags TakeSignals();
// The mask to wait with: the signals are delivered only there.
const sigset_t& WaitMask();
// After a fork: in a child (`in_child`) the master's signals are ignored, before another binary is executed they get their
// default again. SIGPIPE is ignored in both.
void ResetSignals(bool in_child);

}  // namespace ub

#endif  // UB_CORE_SIGNALS_H_
