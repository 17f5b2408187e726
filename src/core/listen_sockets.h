// The listening sockets: opened and owned by the master, inherited or received by every worker.
//
// A TCP address has S SO_REUSEPORT sockets, which are never closed while the address is configured;
// a unix address has one, shared by all workers. Each socket has an index in the segment's
// ownership table. docs/architecture.md says why, under "Sockets".
#ifndef UB_CORE_LISTEN_SOCKETS_H_
#define UB_CORE_LISTEN_SOCKETS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

struct ListenSocket {
  uint32_t index = 0;   // in the ownership table
  std::string address;  // ListenConfig::text
  bool shared = false;  // unix or passed in: every worker accepts from it, it has no owner
  bool tls = false;     // whether its clients speak TLS, by the configuration that last had the address
  bool h2c = false;     // and whether they may speak HTTP/2 without
  bool passed = false;  // by systemd, which keeps it open: never made to refuse, never unlinked
  UniqueFd fd;          // non-blocking, close-on-exec, listening
};

// All but the descriptor as a line, for a message to a worker (kListeners).
std::string DescribeSocket(const ListenSocket& socket);

class ListenSockets {
 public:
  // Opens `per_address` sockets for a TCP address, one for a unix path, which gets `unix_mode` (0666 as with nginx: who may
  // connect is decided by the directory). All or nothing.
  // Errors: kExists "0.0.0.0:80: address already in use (…)", kPermission, kExhausted, kSystem.
  Status Open(const ListenConfig& address, uint32_t per_address, uint32_t max_sockets, mode_t unix_mode = 0666);
  // Takes the sockets of `address` out for the caller to drain and close; unlinks a unix path, if `unlink_path`.
  // Their indexes stay taken until Forget: workers still hold the sockets by them.
  std::vector<ListenSocket> Remove(const std::string& address, bool unlink_path = true);
  // Puts removed sockets back (a reload asked for the address again before they were closed).
  void Restore(std::vector<ListenSocket> removed);
  // Closes removed sockets; their indexes become free.
  void Forget(std::vector<ListenSocket> removed);
  // Opens more sockets for a TCP address until it has `per_address`.
  Status Grow(const ListenConfig& address, uint32_t per_address, uint32_t max_sockets);

  // Takes a socket over from an older master; `keep_index`: its place in the ownership table is kept
  // (the segment is taken over too), otherwise it gets another. kExhausted: the table is full.
  Status Inherit(ListenSocket socket, bool keep_index, uint32_t max_sockets);
  // Takes the socket among `passed` (by systemd) that listens at `address`; false where none does.
  // A socket of [::] that takes IPv4 too is one for 0.0.0.0.
  bool TakePassed(const ListenConfig& address, std::vector<UniqueFd>* passed, uint32_t max_sockets);

  // Notes which sockets are for TLS, and which for HTTP/2 without. Those of addresses that `listen` does not have stay as they are: what waits in
  // their queues came for what they were.
  void MarkProtocols(const std::vector<ListenConfig>& listen);

  // In a child: takes the sockets that came by kListeners, a line of DescribeSocket for each.
  void Adopt(std::string_view lines, std::vector<UniqueFd> fds);
  // Unlinks the paths of unix sockets, once: at the end, or as a drain begins (a new instance may
  // want them).
  void UnlinkPaths();

  // For some seconds to come a socket at that port is our own, as those of Remove and Forget are: Open does not take it for
  // another program's.
  void NoteOurs(uint16_t port);
  bool Has(const std::string& address) const;
  std::vector<ListenSocket>& sockets() { return sockets_; }
  const std::vector<ListenSocket>& sockets() const { return sockets_; }

 private:
  Result<UniqueFd> OpenOne(const ListenConfig& address);
  Status OpenUnix(const ListenConfig& address, uint32_t max_sockets, mode_t mode);
  bool OwnedPort(uint16_t port) const;
  uint32_t FreeIndex(uint32_t max_sockets);

  struct Released {
    uint16_t port;
    uint64_t at_ms;
  };

  std::vector<ListenSocket> sockets_;
  std::vector<uint32_t> removed_;   // indexes between Remove and Forget
  std::vector<Released> released_;  // ports that were ours a moment ago
  std::vector<std::string> paths_;  // unix paths to unlink
  uint32_t next_index_ = 0;
};

// Drops new SYNs at a listening socket and lets handshakes under way finish (a classic BPF filter),
// so that its accept queue can be emptied and the socket closed without resetting anyone.
Status RefuseNewConnections(int listening_fd);
// Takes that back.
void AcceptNewConnections(int listening_fd);
// Stops listening for whoever holds a copy, a stopped or draining worker too: a copy that listens
// on and refuses would swallow its share of the connections to a later listener of the address.
void StopListening(const std::vector<ListenSocket>& sockets);
// The port that a TCP socket is bound to; 0 for a unix one.
uint16_t BoundPort(int fd);

}  // namespace ub

#endif  // UB_CORE_LISTEN_SOCKETS_H_
