// The socketpair between the master and one child: SOCK_SEQPACKET, one message a packet,
// descriptors along.
//
// Non-blocking at both ends. The master never waits on a child that is stopped: what does not fit
// is queued by the caller (see Master). EOF at a child means that the master is gone.
#ifndef UB_CORE_CHANNEL_H_
#define UB_CORE_CHANNEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

enum class MessageType : uint32_t {
  // master to child
  kConfig,     // fd[0]: sealed memfd with the canonical configuration; arg: its generation. To the
               // controller, where there is a state file: fd[1]: its content
  kListeners,  // fds: listening sockets; payload: a line of DescribeSocket for each, in the fds'
               // order. To the controller: fds: all that the management address now has
  kRemoveListeners,  // payload: u32 indexes; owner drains the accept queue, all close them
  kOwners,           // the ownership table changed
  kResume,  // as kConfig, to a worker that drains: stay and serve on; its sockets come after it
  kDrain,            // leave when the work is done; arg: milliseconds until the deadline
  kStop,             // leave at once
  kPeerMaster,  // arg: pid of another master that has the same listening sockets, 0: none any more
  kReopen,  // fd[0]: the log's new file, to be put over LogFd(); fd[1], where there is one: the
            // access log's
  // child to master
  kReady,          // the child serves; arg: generation of its configuration
  kConfigAck,      // arg: generation now in force; payload: empty, or why it was refused
  kWakeWorkers,    // the controller waits for workers to take up the new table: idle ones sleep
  kRuntimeState,   // fd[0]: sealed memfd with what was changed at run time, to be kept; arg comes
                   // back with kStateKept; payload: empty, or "none" where nothing is changed now
  kReloadRequest,  // the controller asks for a reload (admin API); arg comes back with the result
  // master to the controller
  kStateKept,     // arg: as sent; payload: empty, or why admin.state_file could not be written
  kReloadResult,  // how the reload that it asked for ended; arg: as asked; payload: empty, or error
                  // lines
  kReloadHandedOut,  // in place of it: the configuration is good, and some process has not taken it yet
};

struct Message {
  MessageType type{};
  uint64_t arg = 0;
  std::string payload;        // at most kMaxPayload
  std::vector<UniqueFd> fds;  // at most kMaxFds; received ones are close-on-exec
};

class Channel {
 public:
  static constexpr size_t kMaxPayload = 16 * 1024;
  static constexpr size_t kMaxFds = 200;

  Channel() = default;
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  // {master's end, child's end}. Both non-blocking and close-on-exec.
  static Result<std::pair<Channel, Channel>> MakePair();

  // Sends copies of the descriptors. False with OK status: would block, try again when writable.
  Result<bool> Send(const Message& message);
  // nullopt: nothing there now. Error kClosed: the peer is gone. Error kProtocol: not a message of
  // ours.
  Result<std::optional<Message>> Receive();

  int fd() const { return fd_.get(); }
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
};

}  // namespace ub

#endif  // UB_CORE_CHANNEL_H_
