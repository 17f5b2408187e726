// Looks names up without holding up the loop: getaddrinfo in a thread of the controller, so that /etc/hosts, nsswitch
// and the fall-back to TCP hold as they do for every other program.
//
// Controller process. One question at a time; a new one replaces one that has not begun. The thread is detached: a
// look-up that hangs must not keep the controller from leaving.
#ifndef UB_UPSTREAM_RESOLVER_H_
#define UB_UPSTREAM_RESOLVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config_resolve.h"
#include "event/event_loop.h"
#include "event/fd_watcher.h"

namespace ub {

class Resolver {
 public:
  // Blocks until a name is looked up; tests put their own in.
  using LookUp = std::function<HostAnswer(const std::string& host)>;
  using Done = std::function<void(const HostAnswers& answers)>;

  // `done` is called on the loop, once an answer is there; of two that came before the loop looked, with the later one.
  // Errors of Start: kSystem.
  Resolver(EventLoop* loop, Done done, LookUp look_up = LookUpHost);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Makes the thread with the first question.
  Status Ask(std::vector<std::string> hosts);

 private:
  struct Shared;
  static void Run(std::shared_ptr<Shared> shared, LookUp look_up);
  static void OnAnswer(void* self, unsigned what);
  Status Start();

  EventLoop* const loop_;
  const Done done_;
  const LookUp look_up_;
  std::shared_ptr<Shared> shared_;  // with the thread
  FdWatcher watcher_;
};

}  // namespace ub

#endif  // UB_UPSTREAM_RESOLVER_H_
