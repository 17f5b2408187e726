// The seam between the controller and what serves the management address: upstream knows no HTTP.
//
// Controller process, one thread. The controller is the host; main.cc hands it a ManagementService
// (src/http/management_service.h).
#ifndef UB_UPSTREAM_MANAGEMENT_H_
#define UB_UPSTREAM_MANAGEMENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/shm_segment.h"
#include "core/status.h"
#include "core/unique_fd.h"
#include "event/event_loop.h"

namespace ub {

// What the controller offers. Changes are in force in the shared table when a call returns OK: the
// next pick of every worker sees them. Addresses are as AddressText writes them. Errors: kNotFound
// (no such backend), kExists, kExhausted (the table is full), kInvalid, kSystem (the change could
// not be written to admin.state_file, and was not made).
class ManagementHost {
 public:
  virtual ~ManagementHost() = default;
  virtual EventLoop* loop() = 0;
  virtual const ShmSegment& shm() const = 0;
  virtual std::shared_ptr<const Config> config() const = 0;
  virtual uint64_t generation() const = 0;
  // The master drains: it was told to quit.
  virtual bool draining() const = 0;

  virtual Status AddBackend(const BackendConfig& backend) = 0;
  // No new request goes there; it leaves the table when what is in flight has ended, at the latest
  // after timeout.drain_ms. *in_flight: requests that are waited for.
  virtual Status RemoveBackend(std::string_view address, uint32_t* in_flight) = 0;
  virtual Status SetWeight(std::string_view address, uint32_t weight) = 0;
  virtual Status SetDrain(std::string_view address, bool drain) = 0;
  // Asks the master. ManagementService::OnReloadResult gets the ticket. `reset`: what was changed
  // at run time is dropped when the new configuration comes into force.
  virtual Status RequestReload(uint64_t ticket, bool reset) = 0;
};

class ManagementService {
 public:
  virtual ~ManagementService() = default;
  // Begins to serve. The host outlives it.
  virtual void Start(ManagementHost* host) = 0;
  // Stops accepting: the next controller serves who comes from now on. Calls `gone` once everybody who is owed an answer
  // has it, at the latest after some 200 ms; perhaps at once.
  virtual void Leave(std::function<void()> gone) = 0;
  // Ends it, before the loop does.
  virtual void Stop() = 0;
  // Listens on these from now on; clients in the old ones' queues are still served.
  virtual void TakeListeners(std::vector<UniqueFd> sockets) = 0;
  // Clients of the main port that asked for a management path come through this (not owned).
  virtual void TakeHandover(int fd) = 0;
  // `errors`: lines, empty where the reload went well. `everywhere`: every process works by it.
  virtual void OnReloadResult(uint64_t ticket, std::string_view errors, bool everywhere) = 0;
};

}  // namespace ub

#endif  // UB_UPSTREAM_MANAGEMENT_H_
