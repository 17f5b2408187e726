// `ultrabalancer -s SIGNAL`: finds the running master by its pid file, signals it and waits for
// what comes of it.
//
// Runs in the short-lived process of that command.
#ifndef UB_CORE_SIGNAL_MASTER_H_
#define UB_CORE_SIGNAL_MASTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace ub {

// How long a reload may take, by default.
inline constexpr uint64_t kReloadTimeoutMs = 15'000;

enum class MasterSignal : uint8_t { kReload, kQuit, kStop, kReopen };

// "reload", "quit", "stop", "reopen".
Result<MasterSignal> ParseMasterSignal(std::string_view name);

// reload: waits for the outcome; a refused configuration is an error with its lines, one a line of
// detail(). quit: returns when the master is gone, stop likewise (within a second). reopen: at
// once. Errors: kNotFound (nobody runs), kPermission, kInvalid (reload refused), kTimeout.
// `warnings` gets what a reload that went well says all the same, such as which keys take a
// restart.
Status SignalMaster(const std::string& pid_file, MasterSignal signal,
                    uint64_t reload_timeout_ms = kReloadTimeoutMs,
                    std::vector<std::string>* warnings = nullptr);

}  // namespace ub

#endif  // UB_CORE_SIGNAL_MASTER_H_
