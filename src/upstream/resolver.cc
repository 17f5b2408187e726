#include "upstream/resolver.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "core/unique_fd.h"

namespace ub {

struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool closed = false;
  std::optional<std::vector<std::string>> question;
  std::optional<HostAnswers> answers;
  UniqueFd ready;  // eventfd: `answers` is there
};

Resolver::Resolver(EventLoop* loop, Done done, LookUp look_up)
    : loop_(loop), done_(std::move(done)), look_up_(std::move(look_up)) {}

Resolver::~Resolver() {
  if (shared_ == nullptr) return;
  const std::lock_guard lock(shared_->mutex);
  shared_->closed = true;
  shared_->changed.notify_all();
}

Status Resolver::Start() {
  auto shared = std::make_shared<Shared>();
  shared->ready = UniqueFd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!shared->ready.valid()) return Status::System("eventfd", errno);
  if (Status status = watcher_.Watch<&Resolver::OnAnswer>(loop_, shared->ready.get(), FdWatcher::kRead, this);
      !status.ok()) {
    return status;
  }
  // Signals are the controller's; the thread starts with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    std::thread(&Resolver::Run, shared, look_up_).detach();
    shared_ = std::move(shared);
  } catch (const std::system_error& error) {  // the one way in which std::thread says that there can be none
    watcher_.Unwatch();
    status = Status::System("cannot start a thread to look names up", error.code().value());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

Status Resolver::Ask(std::vector<std::string> hosts) {
  if (shared_ == nullptr) {
    if (Status status = Start(); !status.ok()) return status;
  }
  const std::lock_guard lock(shared_->mutex);
  shared_->question = std::move(hosts);
  shared_->changed.notify_all();
  return Status::Ok();
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the thread's own copies
void Resolver::Run(std::shared_ptr<Shared> shared, LookUp look_up) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->closed || shared->question.has_value(); });
    if (shared->closed) return;
    const std::vector<std::string> hosts = std::move(*shared->question);
    shared->question.reset();
    lock.unlock();
    HostAnswers answers;
    for (const std::string& host : hosts) answers.emplace(host, look_up(host));
    lock.lock();
    shared->answers = std::move(answers);
    const uint64_t one = 1;
    // Full only after 2^64 answers; and a reader that is gone does not matter.
    if (write(shared->ready.get(), &one, sizeof one) < 0) errno = 0;
  }
}

void Resolver::OnAnswer(void* self, unsigned) {
  auto* resolver = static_cast<Resolver*>(self);
  uint64_t count;
  if (read(resolver->shared_->ready.get(), &count, sizeof count) < 0) return;
  std::optional<HostAnswers> answers;
  {
    const std::lock_guard lock(resolver->shared_->mutex);
    std::swap(answers, resolver->shared_->answers);
  }
  if (answers) resolver->done_(*answers);
}

}  // namespace ub
