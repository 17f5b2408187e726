// A worker process: one thread, one loop; accepts, proxies, follows the master's messages and the shared tables.
#ifndef UB_HTTP_WORKER_H_
#define UB_HTTP_WORKER_H_

#include <memory>
#include <vector>

#include "core/child_process.h"
#include "event/listener.h"
#include "http/access_log.h"
#include "http/client_connection.h"
#include "http/http2_clients.h"
#include "http/request_queue.h"
#include "http/worker_context.h"

namespace ub {

class Worker final : public ListenerHandler, public ServerOwner {
 public:
  // `child` outlives the worker.
  Worker(ChildContext* child, std::unique_ptr<EventLoop> loop);
  ~Worker() override;

  // Serves until it is stopped or drained; the exit status.
  int Run();

  bool TakePlace(bool beyond) override;
  void GiveBackPlace() override;
  void OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& listener) override;
  void OnServerClosed(ClientConnection* server) override;
  void OnHttp2(ClientConnection* server, ClientParts parts, std::string_view bytes) override;

 private:
  struct OpenListener {
    uint32_t index;
    std::unique_ptr<Listener> listener;
  };

  static void OnChannel(void* self, unsigned what);
  static void OnDrainDeadline(void* self);
  static void OnOrphanGrace(void* self);
  void OnMasterGone();
  void TurnBegins();
  void Handle(Message message);
  void TakeConfig(UniqueFd memfd, uint64_t generation);
  void Configure();
  // Certificates for `config`, where they are not those that there are already. Not OK: all is as it was.
  Status LoadCertificates(const Config& config);
  void FollowOwners();
  void RemoveSockets(const Message& message);
  // Leaves once the last connection is gone, at the latest at the deadline.
  void Drain(uint64_t deadline_ms);
  void LeaveIfDone();
  void Acknowledge(std::string error);
  void SendReady();

  ChildContext* const child_;
  std::unique_ptr<EventLoop> loop_;
  UpstreamGroup group_;
  KeepalivePool pool_;
  Http2Clients http2_clients_;
  ClientPlaces places_;
  AccessLog access_log_;
  RequestQueue queue_;
  WorkerContext context_;
  FdWatcher channel_watcher_;
  Timer drain_deadline_, orphan_grace_;
  std::vector<OpenListener> listeners_;
  std::vector<std::unique_ptr<ClientConnection>> servers_;
};

// Body of a worker (ChildMain).
int WorkerMain(ChildContext& child);

}  // namespace ub

#endif  // UB_HTTP_WORKER_H_
