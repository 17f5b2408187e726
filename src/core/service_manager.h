// What systemd wants to hear from a service of Type=notify, without its library: one datagram a
// message to the socket that NOTIFY_SOCKET names.
//
// Master only. Silent where nobody listens; a message that cannot be sent is dropped, it is never
// waited for.
#ifndef UB_CORE_SERVICE_MANAGER_H_
#define UB_CORE_SERVICE_MANAGER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/unique_fd.h"

namespace ub {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET (a path, or "@name" for an abstract one), WATCHDOG_USEC and WATCHDOG_PID.
  static ServiceManager FromEnvironment();

  bool present() const { return fd_.valid(); }
  // READY=1 with a status line and the pid that is the service's main one from now on.
  void Ready(std::string_view status);
  // RELOADING=1 with the time that Type=notify-reload asks for; Ready ends it.
  void Reloading();
  void Stopping(std::string_view status);
  void Alive();  // WATCHDOG=1
  // How often Alive() is due: half of what systemd waits for; 0: never.
  uint64_t watchdog_ms() const { return watchdog_ms_; }

 private:
  void Send(std::string_view text);

  UniqueFd fd_;
  std::string address_;  // sun_path, with its leading NUL where it is abstract
  uint64_t watchdog_ms_ = 0;
};

}  // namespace ub

#endif  // UB_CORE_SERVICE_MANAGER_H_
