// A worker's insides without its process: Http1Server, sessions and attempts on a real loop, with a segment and a pool of
// backends, between clients and backends that a test plays by hand, byte for byte.
//
// After each test everything is let go, and what a request holds must be back: places, sessions, buffers, connections.
#ifndef UB_T_UNIT_HTTP_PROXY_FIXTURE_H_
#define UB_T_UNIT_HTTP_PROXY_FIXTURE_H_

#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../event/loop_fixture.h"
#include "../upstream/upstream_fixture.h"
#include "http/access_log.h"
#include "http/http1_server.h"
#include "http/http2_clients.h"
#include "http/proxy_session.h"
#include "http/request_queue.h"

namespace ub {

// The far end of a connection of the proxy's: a client or a backend.
struct Peer {
  UniqueFd fd;
  std::string got;     // everything that came
  bool ended = false;  // the end of the stream came
  int error = 0;       // or this errno

  void Look() {
    char bytes[65536];
    while (!ended && error == 0) {
      const ssize_t n = recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (n < 0) {
        if (errno != EAGAIN) error = errno;
        return;
      }
      if (n == 0) ended = true;
      got.append(bytes, static_cast<size_t>(n));
    }
  }
  void Send(std::string_view bytes) { SendAll(fd.get(), bytes); }
  void HalfClose() { shutdown(fd.get(), SHUT_WR); }
  void Reset() { CloseWithReset(&fd); }
  void Close() { fd.Reset(); }
  bool over() const { return ended || error != 0; }
};

class ProxyTest : public LoopTest, public ServerOwner {
 protected:
  // Change config before Start.
  Config config_;
  bool h2_ = false;  // backends speak HTTP/2

  // Backend 0 is always tried first; the others are its backups.
  void Start(uint32_t backends = 1) {
    pool_ = std::make_unique<Pool>(2, 8);
    pool_->config = config_;
    std::vector<BackendSpec> specs;
    for (uint32_t i = 0; i < backends; ++i) {
      listeners_.push_back(ListenTcp());
      BackendSpec spec = MakeSpec(i);
      spec.backup = i > 0;
      spec.h2 = h2_;
      std::memcpy(&spec.address, &listeners_.back().address, sizeof(sockaddr_in));
      specs.push_back(spec);
    }
    pool_->Apply(specs);
    pool_->AddWorker();
    keepalive_ = std::make_unique<KeepalivePool>(loop(), &pool_->shm(), 0);
    queue_ = std::make_unique<RequestQueue>(loop(), &pool_->shm().row(0).queued);
    context_ = std::make_unique<WorkerContext>();
    context_->loop = loop();
    context_->owner = this;
    context_->shm = &pool_->shm();
    context_->counters = &pool_->shm().row(0);
    context_->group = &pool_->group();
    context_->pool = keepalive_.get();
    http2_clients_ = std::make_unique<Http2Clients>(loop(), keepalive_.get());
    context_->http2_clients = http2_clients_.get();
    context_->queue = queue_.get();
    access_log_ = std::make_unique<AccessLog>(loop());
    context_->access_log = access_log_.get();
    places_ = std::make_unique<ClientPlaces>(pool_->shm(), 0);
    context_->places = places_.get();
    context_->random = Random(1);
    Configure();
    loop()->set_turn_hook([this] {
      context_->sessions.Recycle();
      context_->http2_attempts.Recycle();
    });
  }
  // Brings config_ into force, as a reload does.
  void Configure() {
    context_->config = std::make_shared<const Config>(config_);
    keepalive_->Configure(config_.connection_pool);
    http2_clients_->Configure(context_->config);
    queue_->Configure(config_.queue);
    pool_->config = config_;
    pool_->Reconfigure();
  }

  // A client that has just connected.
  Peer& Connect() {
    auto [near, far] = TcpPair();
    sockaddr_storage peer{};
    reinterpret_cast<sockaddr_in*>(&peer)->sin_family = AF_INET;
    reinterpret_cast<sockaddr_in*>(&peer)->sin_addr.s_addr = htonl(0xc0000201);  // 192.0.2.1
    servers_.push_back(std::make_unique<Http1Server>(context_.get(), std::move(near), PeerAddress::From(peer)));
    EXPECT_TRUE(servers_.back()->Start().ok());
    clients_.emplace_back();
    clients_.back().fd = std::move(far);
    return clients_.back();
  }
  Peer& Connect(std::string_view bytes) {
    Peer& client = Connect();
    client.Send(bytes);
    return client;
  }
  Http1Server& server() { return *servers_.back(); }
  size_t open_servers() const { return servers_.size(); }

  // The next connection that the proxy makes to backend `b`.
  Peer& Accept(size_t b = 0) {
    backends_.emplace_back();
    Peer& peer = backends_.back();
    EXPECT_TRUE(RunUntil([&] {
      peer.fd.Reset(accept4(listeners_[b].fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return peer.fd.valid();
    })) << "no connection to backend " << b;
    return peer;
  }
  bool NobodyConnects(size_t b = 0) {
    RunTurns(10);
    return accept4(listeners_[b].fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC) < 0;
  }
  // A listening socket that is gone: who connects is refused.
  void Down(size_t b) { listeners_[b].fd.Reset(); }

  // Until `text` came; what came so far is in `peer.got`.
  bool Await(Peer& peer, std::string_view text) {
    const bool came = RunUntil([&] {
      peer.Look();
      return peer.got.find(text) != std::string::npos;
    });
    EXPECT_TRUE(came) << "no \"" << text << "\" but: " << peer.got.substr(0, 2000);
    return came;
  }
  bool AwaitHead(Peer& peer) { return Await(peer, "\r\n\r\n"); }
  // Until the connection ended or broke.
  bool AwaitOver(Peer& peer) {
    const bool over = RunUntil([&] {
      peer.Look();
      return peer.over();
    });
    EXPECT_TRUE(over) << "still open after: " << peer.got.substr(0, 2000);
    return over;
  }
  bool AwaitServersGone() {
    return RunUntil([&] { return servers_.empty(); });
  }
  // A GET and its answer through a backend connection that is kept.
  Peer& Exchange(Peer& client, Peer* backend = nullptr) {
    client.got.clear();
    client.Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    Peer& at = backend != nullptr ? *backend : Accept();
    at.got.clear();
    AwaitHead(at);
    at.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    Await(client, "\r\n\r\nok");
    client.got.clear();
    at.got.clear();
    return at;
  }

  // Passing the time that a deadline takes; `ms` as the loop's clock counts.
  void Pass(uint64_t ms) {
    const uint64_t end = loop()->now_ns() + ms * kMilli;
    EXPECT_TRUE(RunUntil([&] { return loop()->now_ns() > end; }));
  }
  uint64_t Count(std::atomic<uint64_t> ProcessRow::*counter) { return (context_->counters->*counter).load(); }
  uint64_t Responses(int hundreds) { return context_->counters->responses[hundreds].load(); }
  ProcessRow& counters() { return *context_->counters; }

  void OnHttp2(ClientConnection*, ClientParts, std::string_view) override { ADD_FAILURE() << "HTTP/2 where it is off"; }
  void OnServerClosed(ClientConnection* server) override {
    for (auto& each : servers_) {
      if (each.get() != server) continue;
      loop()->Retire(std::move(each));
      std::swap(each, servers_.back());
      servers_.pop_back();
      return;
    }
    ADD_FAILURE() << "a server that is not there was closed";
  }

  void TearDown() override {
    if (context_ == nullptr) return;
    for (Peer& peer : clients_) peer.Close();
    for (Peer& peer : backends_) peer.Close();
    EXPECT_TRUE(AwaitServersGone()) << servers_.size() << " client connections are stuck";
    RunTurns();
    EXPECT_EQ(context_->active, 0u);
    EXPECT_EQ(context_->retrying, 0u);
    for (uint32_t b = 0; b < 8; ++b) {
      EXPECT_EQ(pool_->shm().InFlight(b), 0u) << "backend " << b;
      EXPECT_EQ(pool_->shm().tickets(0, b).load(), 0u) << "backend " << b;
      EXPECT_EQ(keepalive_->in_use(b), 0u) << "backend " << b;
    }
    EXPECT_EQ(loop()->buffers().bytes_out(), 0u) << "buffers are lost";
    loop()->set_turn_hook(nullptr);
  }

  std::unique_ptr<Pool> pool_;
  std::unique_ptr<RequestQueue> queue_;
  std::vector<TcpListener> listeners_;
  std::unique_ptr<KeepalivePool> keepalive_;
  std::unique_ptr<Http2Clients> http2_clients_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<ClientPlaces> places_;
  std::unique_ptr<WorkerContext> context_;
  std::vector<std::unique_ptr<Http1Server>> servers_;
  std::deque<Peer> clients_, backends_;
};

}  // namespace ub

#endif  // UB_T_UNIT_HTTP_PROXY_FIXTURE_H_
