// What the master holds for the management address, so that a controller that dies leaves nothing
// behind: the listening socket (with the clients that wait in its queue), the way by which workers
// hand connections over to the controller, and the last runtime state that it told.
//
// Part of the master; children get their ends at the fork.
#ifndef UB_CORE_MANAGEMENT_LINK_H_
#define UB_CORE_MANAGEMENT_LINK_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/child_process.h"
#include "core/inheritance.h"
#include "core/listen_sockets.h"

namespace ub {

// Where the management address listens; nullopt where it is off.
std::optional<ListenConfig> ManagementAddress(const AdminConfig& config);

class ManagementLink {
 public:
  // At start, before privileges are dropped. An address that was asked for and cannot be had is an
  // error; with the default one a warning is logged and there is none.
  // `inherited`: of an older master, whose socket is taken where the address is the same.
  Status Open(const AdminConfig& config, Inheritance* inherited);
  // A reload: opens what `next` wants and nothing else changes until Commit. Errors as Open's.
  Status Prepare(const AdminConfig& next);
  // What Prepare opened takes the old one's place, whose unix path is unlinked, if `unlink_paths`. The message tells the
  // controller; nullopt: all stays as it was.
  std::optional<Message> Commit(bool unlink_paths);

  // What the state file held. Empty: there is none, or it could not be read, and what is known already stays.
  Status LoadState(const std::string& text);
  // What an older master kept; not valid: nothing.
  void InheritState(UniqueFd state) { state_ = std::move(state); }
  // What a newer master gets besides the socket. It has the same way from workers to the controller, so that whichever
  // controller there is serves the clients of both masters' workers.
  NamedFds ForSuccessor() const;
  // The controller's new state (kRuntimeState): kept for the next one, and written to `state_file`
  // where one is configured. The answer to it.
  Message KeepState(const Message& message, const std::string& state_file);
  // A copy for the controller's kConfig; not valid where there is none.
  UniqueFd CopyOfState() const;
  // Fills in what a child of that kind gets.
  void GiveTo(ChildContext* context);
  // In the child: closes what is not for its kind.
  void BecomeChild(ChildKind kind);
  void UnlinkPaths() { sockets_.UnlinkPaths(); }
  const ListenSockets& sockets() const { return sockets_; }

 private:
  Status OpenHandover(Inheritance* inherited);
  // Adds the socket of `config` to `to`.
  Status OpenAt(const AdminConfig& config, ListenSockets* to);

  ListenSockets sockets_;  // one socket, or none
  std::optional<ListenSockets> next_;
  std::string address_, next_address_;  // as told by ManagementAddress; empty: off, or not to be had
  UniqueFd handover_receive_, handover_send_;
  UniqueFd state_;
};

}  // namespace ub

#endif  // UB_CORE_MANAGEMENT_LINK_H_
