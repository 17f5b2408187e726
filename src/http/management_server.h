// The HTTP server of the management address: whole requests in, whole answers out.
//
// Controller process. Bodies are at most kMaxBody; whoever is slow is left at a deadline, and where
// kMaxClients are connected the one that was quiet for longest makes room, so that half-sent
// requests cannot shut others out. Not made for load: it copies.
#ifndef UB_HTTP_MANAGEMENT_SERVER_H_
#define UB_HTTP_MANAGEMENT_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "event/connection.h"
#include "event/fd_watcher.h"
#include "event/listener.h"
#include "http/management_message.h"

namespace ub {

class ManagementHandler {
 public:
  virtual ~ManagementHandler() = default;
  // The answer; nullopt: it comes by ManagementServer::Answer.
  virtual std::optional<ManagementResponse> OnRequest(const ManagementRequest& request) = 0;
};

class ManagementServer final : public ListenerHandler {
 public:
  static constexpr size_t kMaxBody = 64 * 1024;
  static constexpr size_t kMaxClients = 128;

  // Both outlive it.
  ManagementServer(EventLoop* loop, ManagementHandler* handler);
  ~ManagementServer() override;

  // Listens on these; what the old sockets' queues hold is accepted first.
  void Listen(std::vector<UniqueFd> sockets);
  // Takes clients of the main port from there (management_handover.h).
  void TakeHandover(int fd);
  // Accepts nobody any more; who has asked, or has only just come, is still answered. Calls `left` when all have gone,
  // perhaps at once.
  void Leave(std::function<void()> left);
  // For a request that was not answered at once. Ignored where its client is gone.
  void Answer(uint64_t exchange, const ManagementResponse& response);
  size_t clients() const { return clients_.size(); }

  // ListenerHandler
  bool TakePlace(bool) override { return true; }
  void GiveBackPlace() override {}
  void OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& /*listener*/) override;

 private:
  class Client;
  friend class Client;
  struct OpenListener {
    UniqueFd fd;
    std::unique_ptr<Listener> listener;
  };

  static void OnHandover(void* self, unsigned what);
  void Add(UniqueFd fd, const sockaddr_storage& peer, std::string_view input, bool main_port);
  void MakeRoom();
  void Remove(Client* client);

  EventLoop* const loop_;
  ManagementHandler* const handler_;
  std::vector<OpenListener> listeners_;
  std::vector<std::unique_ptr<Client>> clients_;
  FdWatcher handover_watcher_;
  int handover_fd_ = -1;
  std::function<void()> left_;  // while it leaves
  uint64_t next_exchange_ = 1;
};

}  // namespace ub

#endif  // UB_HTTP_MANAGEMENT_SERVER_H_
