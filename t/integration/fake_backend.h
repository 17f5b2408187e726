// A scripted HTTP backend inside the test: a thread accepts, a thread a connection reads requests
// and runs a handler for each. It records what arrived, byte for byte, and counts connections and
// requests under way.
#ifndef UB_INTEGRATION_FAKE_BACKEND_H_
#define UB_INTEGRATION_FAKE_BACKEND_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http_wire.h"
#include "thread_crowd.h"
#include "wire.h"

namespace ub::itest {

class FakeBackend;

// One request at the backend. Lives while its handler runs.
class Exchange {
 public:
  Exchange(FakeBackend* backend, Socket* socket, MessageReader* reader, uint32_t connection,
           uint32_t number);
  ~Exchange();
  Exchange(const Exchange&) = delete;

  Request request;
  const uint32_t connection;  // index of the connection, from 0
  const uint32_t number;      // of the request on its connection, from 0

  Socket& socket() { return *socket_; }
  FakeBackend& backend() { return *backend_; }

  // A whole response with Content-Length; `fields` are lines that end in CRLF. No body goes out for
  // HEAD.
  void Reply(int status, std::string_view body = "", std::string_view fields = "");
  // Raw bytes of a response; the request counts as under way until the handler ends or Done() is
  // called.
  Io Send(std::string_view bytes);
  // From here on the request is not counted as under way.
  void Done();
  // Waits for the gate, the end of the backend or the deadline.
  bool Wait(Gate& gate);
  // True where the peer ended or reset the connection in time.
  bool PeerGone(Millis limit = kLimit);
  // The body, where Options::read_bodies is false.
  ReadResult ReadBody(const BodySink& sink) { return reader_->ReadBody(&request, sink); }
  void Close() { socket_->Close(); }
  void Reset() { socket_->Reset(); }

 private:
  FakeBackend* backend_;
  Socket* socket_;
  MessageReader* reader_;
  bool done_ = false;
};

class FakeBackend {
 public:
  using Handler = std::function<void(Exchange&)>;
  struct Options {
    Endpoint at = Endpoint::V4(0);  // or Endpoint::V6(0), Endpoint::Unix(path)
    std::string name = "backend";
    Handler handler;                          // default: Serve
    std::function<void(Socket&)> connection;  // in place of requests and handler
    bool read_bodies = true;                  // the whole body is read before the handler runs
    bool record = true;                       // keep requests (a few thousand at most)
    int receive_buffer = 0;                   // SO_RCVBUF; 0: the system's default
    int backlog = 4096;
  };

  FakeBackend() : FakeBackend(Options{}) {}
  explicit FakeBackend(Handler handler);
  explicit FakeBackend(Options options);
  ~FakeBackend() { Stop(); }
  FakeBackend(const FakeBackend&) = delete;

  // The usual handler. GET /size/N/SEED answers N bytes of a pattern, GET /chunked/N/SEED the same
  // in chunks, any other request its own body. X-Backend names the backend; X-Load-Id comes back.
  static void Serve(Exchange& exchange);

  void Stop();   // closes the listener and every connection
  void Start();  // again, at the same address

  const Endpoint& endpoint() const { return options_.at; }
  const std::string& name() const { return options_.name; }
  // An item of the configuration's backends list; `extra` such as "weight: 10".
  std::string Yaml(std::string_view extra = "") const;

  uint64_t accepted() const { return accepted_; }      // connections since the beginning
  uint64_t open() const { return open_; }              // connections now
  uint64_t requests() const { return requests_; }      // heads read since the beginning
  uint64_t concurrent() const { return concurrent_; }  // under way now
  uint64_t peak() const { return peak_; }              // most under way at once
  uint64_t malformed() const { return malformed_; }    // requests that the strict reader refused
  std::vector<Request> recorded() const;
  Request last() const;  // the latest recorded; empty where there is none
  bool stopping() const { return stopping_; }

 private:
  friend class Exchange;
  void AcceptLoop();
  void Connection(UniqueFd fd, uint32_t index);
  void Begin(const Request& request);

  Options options_;
  UniqueFd listener_, stop_event_;
  std::thread acceptor_;
  ThreadCrowd threads_;
  mutable std::mutex record_mutex_;
  std::vector<Request> recorded_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> accepted_{0}, open_{0}, requests_{0}, concurrent_{0}, peak_{0};
  std::atomic<uint64_t> malformed_{0};
};

// A listener whose accept queue is full: connecting to it neither succeeds nor fails.
class FullListener {
 public:
  FullListener();
  std::string Yaml(std::string_view extra = "") const;
  uint16_t port() const { return port_; }

 private:
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::vector<UniqueFd> fillers_;
};

// "{ host: H, port: P, extra }" for an endpoint.
std::string BackendYaml(const Endpoint& endpoint, std::string_view extra = "");

}  // namespace ub::itest

#endif  // UB_INTEGRATION_FAKE_BACKEND_H_
