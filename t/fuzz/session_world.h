// One worker's insides for the fuzz targets of whole sessions: a client and a backend, each any bytes at any moment, around the
// real servers, sessions, attempts and pool on a real loop.
//
// The input: its first byte holds options. Then steps: a byte that says who does what, and with "send" how many bytes of what
// follows (its lower six bits plus one).
#ifndef UB_T_FUZZ_SESSION_WORLD_H_
#define UB_T_FUZZ_SESSION_WORLD_H_

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "http/http1_server.h"
#include "http/http2_server.h"
#include "http/proxy_session.h"
#include "http/request_queue.h"
#include "support/strict_reader.h"
#include "upstream/backend_table.h"

namespace ub_fuzz {

inline void Require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

// One end that the fuzzer plays.
struct End {
  ub::UniqueFd fd;
  std::string got;
  void Send(std::string_view bytes) {
    if (fd.valid()) (void)!send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  void Look() {
    char bytes[16384];
    while (fd.valid()) {
      const ssize_t n = recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (n <= 0) return;
      got.append(bytes, static_cast<size_t>(n));
    }
  }
};

class World : public ub::ServerOwner {
 public:
  explicit World(bool http2) : http2_(http2), loop_(std::move(*ub::EventLoop::Create())), shm_(MakeSegment()), table_(shm_) {
    ub::SetLogLevel(ub::LogLevel::kOff);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;  // abstract: gone with the process
    const int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ub-fuzz-%d", getpid());
    ub::BackendSpec spec;
    spec.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
    std::memcpy(&spec.address, &address, sizeof address);
    spec.text = "unix:fuzz";
    spec.weight = 100;
    listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    Require(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), spec.bytes) == 0, "bind");
    Require(listen(listener_.get(), 64) == 0, "listen");
    Require(table_.Apply(0, std::span(&spec, 1)).ok(), "table");
    row_ = shm_.TakeRow(ub::ChildKind::kWorker, 0);
    group_ = std::make_unique<ub::UpstreamGroup>(shm_, row_, 0, 0);
    pool_ = std::make_unique<ub::KeepalivePool>(loop_.get(), &shm_, row_);
    places_ = std::make_unique<ub::ClientPlaces>(shm_, row_);
    queue_ = std::make_unique<ub::RequestQueue>(loop_.get(), &shm_.row(row_).queued);
    access_log_ = std::make_unique<ub::AccessLog>(loop_.get());
    context_.loop = loop_.get();
    context_.owner = this;
    context_.shm = &shm_;
    context_.row = row_;
    context_.counters = &shm_.row(row_);
    context_.group = group_.get();
    context_.pool = pool_.get();
    context_.places = places_.get();
    context_.queue = queue_.get();
    context_.access_log = access_log_.get();
    loop_->set_turn_hook([this] { context_.sessions.Recycle(); });
  }

  void Run(const uint8_t* data, size_t size) {
    Configure(data[0]);
    Connect();
    for (size_t at = 1; at < size;) {
      const uint8_t step = data[at++];
      const size_t count = std::min<size_t>((step & 63) + size_t{1}, size - at);
      const std::string_view bytes(reinterpret_cast<const char*>(data + at), count);
      if (step < 128) {
        if (step < 64) {
          SendAsClient(bytes);
        } else {
          Backend().Send(bytes);
        }
        at += count;
      } else {
        Act(step);
      }
      Turn(2);
    }
    Turn(6);
    Finish();
  }

  void OnHttp2(ub::ClientConnection* server, ub::ClientParts parts, std::string_view bytes) override {
    Require(http2_ && server == server_.get(), "HTTP/2 where it is off");
    auto next = std::make_unique<ub::Http2Server>(&context_, std::move(parts));
    ub::Http2Server* const started = next.get();
    loop_->Retire(std::move(server_));
    server_ = std::move(next);
    started->Start(bytes);
  }

  void OnServerClosed(ub::ClientConnection* server) override {
    Require(server == server_.get(), "a server that is not there was closed");
    loop_->Retire(std::move(server_));
  }

 protected:
  static ub::ShmSegment MakeSegment() {
    ub::ShmLimits limits;
    limits.processes = 2;
    limits.backends = 4;
    limits.sockets = 1;
    return std::move(*ub::ShmSegment::Create(limits));
  }

  // What HTTP/1 sends as it is; an HTTP/2 client mostly means frames (http2_session_fuzz.cc).
  virtual void SendAsClient(std::string_view bytes) { client_.Send(bytes); }

  void Configure(uint8_t options) {
    ub::Config config;
    config.http2.initial_window_bytes = 1024;
    config.http2.max_concurrent_streams = 10;
    config.http2.max_resets = config.http2.max_pings = 5;
    config.http2.header_list_bytes = 4096;
    config.health_check.circuit_breaker.enabled = false;
    config.health_check.enabled = false;
    config.limits.header_bytes = 1024;
    config.limits.body_bytes = (options & 1) != 0 ? 100 : 0;
    config.limits.min_rate_bytes = (options & 2) != 0 ? 1 : 0;
    config.limits.connections_per_client = (options & 4) != 0 ? 1 : 0;
    config.proxy_protocol.accept = (options & 8) != 0;
    config.proxy_protocol.trust = {"0.0.0.0/0"};
    config.forwarded.via = (options & 16) != 0;
    config.retry.max_attempts = (options & 32) != 0 ? 3 : 1;
    context_.draining = (options & 64) != 0;
    context_.random = ub::Random(1);
    context_.settings.proxy_trust = ub::NetworkSet(config.proxy_protocol.trust);
    context_.config = std::make_shared<const ub::Config>(config);
    group_->Configure(config);
    group_->Refresh();
    pool_->Configure(config.connection_pool);
  }

  void Connect() {
    int pair[2];
    Require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    client_ = End{ub::UniqueFd(pair[0]), ""};
    sockaddr_storage peer{};
    peer.ss_family = AF_INET;
    reinterpret_cast<sockaddr_in*>(&peer)->sin_addr.s_addr = htonl(0xc0000201);
    auto server = std::make_unique<ub::Http1Server>(&context_, ub::UniqueFd(pair[1]), ub::PeerAddress::From(peer),
                                                    false, http2_);
    ub::Http1Server* const started = server.get();
    server_ = std::move(server);
    Require(started->Admit(), "the only client is refused");
    Require(started->Start().ok(), "start");
  }

  // The newest connection; one without a socket where there is none yet.
  End& Backend() {
    static End nobody;
    return backends_.empty() ? nobody : backends_.back();
  }

  void Act(uint8_t step) {
    End& end = (step & 1) != 0 ? Backend() : client_;
    if (!end.fd.valid()) return;
    switch ((step >> 1) & 3) {
      case 0:
        shutdown(end.fd.get(), SHUT_WR);
        break;
      case 1:
        end.Look();
        end.fd.Reset();
        break;
      default:
        break;  // time passes
    }
  }

  void Turn(int turns) {
    for (; turns > 0; --turns) {
      ub::Task task(loop_.get(), [](void* loop) { static_cast<ub::EventLoop*>(loop)->Stop(); }, loop_.get());
      loop_->RunSoon(&task);
      loop_->Run();
      ub::UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) backends_.push_back(End{std::move(fd), ""});
      client_.Look();
      for (End& backend : backends_) backend.Look();
    }
  }

  void Finish() {
    client_.Look();
    client_.fd.Reset();
    // A retry may come with one more connection to the backend.
    for (int i = 0; i < 50 && (i < 2 || server_ != nullptr); ++i) {
      for (End& backend : backends_) {
        backend.Look();
        backend.fd.Reset();
      }
      Turn(1);
    }
    Require(server_ == nullptr, "the client's connection is stuck");
    pool_->CloseAll();
    Turn(2);
    for (const End& backend : backends_) CheckRelayed(backend.got);
    backends_.clear();
    Require(context_.active == 0 && context_.retrying == 0, "counts of requests have drifted");
    Require(shm_.InFlight(0) == 0 && shm_.tickets(row_, 0).load() == 0, "a place is not given back");
    Require(pool_->in_use(0) == 0 && shm_.idle(row_, 0).load() == 0, "a backend connection is lost");
    Require(loop_->buffers().bytes_out() == 0, "a buffer is lost");
    Require(places_->Count(places_->Key(std::string_view("\xc0\0\2\1", 4))) == 0, "a client's place is lost");
  }

  static void CheckRelayed(std::string_view bytes) {
    ub::StrictReader reader(bytes, true);
    ub::ReadRequest request;
    for (;;) {
      const ub::ReadState state = reader.Next(&request);
      if (state == ub::ReadState::kWrong) Require(false, reader.why());
      if (state == ub::ReadState::kPartial) return;
      if (request.upgrade) return;  // what follows may be a tunnel's
    }
  }

  const bool http2_;
  std::unique_ptr<ub::EventLoop> loop_;
  ub::ShmSegment shm_;
  ub::BackendTable table_;
  uint32_t row_ = 0;
  ub::UniqueFd listener_;
  std::unique_ptr<ub::UpstreamGroup> group_;
  std::unique_ptr<ub::KeepalivePool> pool_;
  std::unique_ptr<ub::ClientPlaces> places_;
  std::unique_ptr<ub::RequestQueue> queue_;
  std::unique_ptr<ub::AccessLog> access_log_;
  ub::WorkerContext context_;
  std::unique_ptr<ub::ClientConnection> server_;
  End client_;
  std::vector<End> backends_;
};

}  // namespace ub_fuzz

#endif  // UB_T_FUZZ_SESSION_WORLD_H_
