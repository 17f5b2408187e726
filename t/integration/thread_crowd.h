// Threads that come and go, one a connection: those that have ended are joined as others begin, so that a test of hours
// holds no more stacks than it has connections.
#ifndef UB_INTEGRATION_THREAD_CROWD_H_
#define UB_INTEGRATION_THREAD_CROWD_H_

#include <atomic>
#include <list>
#include <thread>
#include <utility>

namespace ub::itest {

// Used by one thread at a time.
class ThreadCrowd {
 public:
  ThreadCrowd() = default;
  ~ThreadCrowd() { Join(); }
  ThreadCrowd(const ThreadCrowd&) = delete;
  ThreadCrowd& operator=(const ThreadCrowd&) = delete;

  template <class Work>
  void Run(Work work) {
    std::erase_if(members_, [](Member& member) {
      if (member.ended) member.thread.join();
      return !member.thread.joinable();
    });
    Member& member = members_.emplace_back();
    member.thread = std::thread([&member, work = std::move(work)]() mutable {
      work();
      member.ended = true;
    });
  }
  void Join() {
    for (Member& member : members_) member.thread.join();
    members_.clear();
  }

 private:
  struct Member {
    std::thread thread;
    std::atomic<bool> ended{false};
  };
  std::list<Member> members_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_THREAD_CROWD_H_
