#include "fake_backend.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace ub::itest {

namespace {

constexpr size_t kMostRecorded = 4096;
constexpr size_t kPiece = 64 * 1024;

// Sends `size` bytes of a pattern, as chunks where asked.
Io SendPattern(Exchange& exchange, uint64_t size, uint64_t seed, bool chunked) {
  std::string piece;
  for (uint64_t at = 0; at < size;) {
    const size_t take = static_cast<size_t>(std::min<uint64_t>(kPiece, size - at));
    piece.resize(take);
    FillPattern(seed, at, piece.data(), take);
    at += take;
    if (chunked) piece = fmt::format("{:x}\r\n", take) + piece + "\r\n";
    if (at == size && !chunked) exchange.Done();
    const Io sent = exchange.Send(piece);
    if (sent != Io::kOk) return sent;
  }
  exchange.Done();
  return chunked ? exchange.Send("0\r\n\r\n") : Io::kOk;
}

}  // namespace

Exchange::Exchange(FakeBackend* backend, Socket* socket, MessageReader* reader,
                   uint32_t connection_index, uint32_t request_number)
    : connection(connection_index),
      number(request_number),
      backend_(backend),
      socket_(socket),
      reader_(reader) {}

Exchange::~Exchange() { Done(); }

void Exchange::Done() {
  if (!done_) backend_->concurrent_.fetch_sub(1);
  done_ = true;
}

Io Exchange::Send(std::string_view bytes) { return socket_->Send(bytes); }

void Exchange::Reply(int status, std::string_view body, std::string_view fields) {
  std::string out = fmt::format("HTTP/1.1 {} Answer\r\n{}", status, fields);
  const bool bodyless = status == 204 || status == 304 || status < 200;
  if (!bodyless) out += fmt::format("Content-Length: {}\r\n", body.size());
  out += "\r\n";
  if (!bodyless && request.method != "HEAD") out += body;
  Done();
  Send(out);
}

bool Exchange::Wait(Gate& gate) {
  return gate.Wait(kLimit, [this] { return backend_->stopping(); });
}

bool Exchange::PeerGone(Millis limit) {
  const Io closed = socket_->WaitClosed(limit);
  return closed == Io::kEnd || closed == Io::kReset;
}

FakeBackend::FakeBackend(Handler handler)
    : FakeBackend([&handler] {
        Options options;
        options.handler = std::move(handler);
        return options;
      }()) {}

FakeBackend::FakeBackend(Options options) : options_(std::move(options)) {
  if (!options_.handler) options_.handler = Serve;
  Start();
}

void FakeBackend::Serve(Exchange& exchange) {
  const Request& request = exchange.request;
  std::string fields = "X-Backend: " + exchange.backend().name() + "\r\n";
  if (request.Has("X-Load-Id")) fields += "X-Load-Id: " + request.Value("X-Load-Id") + "\r\n";
  const auto parts = Split(request.target, '/');
  if (parts.size() != 4 || (parts[1] != "size" && parts[1] != "chunked")) {
    exchange.Reply(200, request.body, fields);
    return;
  }
  const uint64_t size = strtoull(parts[2].c_str(), nullptr, 10);
  const uint64_t seed = strtoull(parts[3].c_str(), nullptr, 10);
  const bool chunked = parts[1] == "chunked";
  std::string head = "HTTP/1.1 200 OK\r\n" + fields;
  head += chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                  : fmt::format("Content-Length: {}\r\n\r\n", size);
  if (size == 0 && !chunked) exchange.Done();
  if (exchange.Send(head) != Io::kOk || SendPattern(exchange, size, seed, chunked) != Io::kOk) {
    exchange.Reset();
  }
}

void FakeBackend::Start() {
  listener_ = ListenAt(options_.at, options_.backlog, options_.receive_buffer);
  if (options_.at.family != AF_UNIX) options_.at.port = LocalPort(listener_.get());
  stop_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  stopping_ = false;
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

void FakeBackend::Stop() {
  if (!listener_.valid()) return;
  stopping_ = true;
  eventfd_write(stop_event_.get(), 1);
  acceptor_.join();
  listener_.Reset();
  // The acceptor is gone, so nobody adds to the list.
  threads_.Join();
}

void FakeBackend::AcceptLoop() {
  while (!stopping_) {
    pollfd waits[2] = {{listener_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) continue;
    const auto index = static_cast<uint32_t>(accepted_.fetch_add(1));
    open_.fetch_add(1);
    threads_.Run([this, index, fd = std::move(fd)]() mutable {
      Connection(std::move(fd), index);
      open_.fetch_sub(1);
    });
  }
}

void FakeBackend::Connection(UniqueFd fd, uint32_t index) {
  Socket socket(std::move(fd), stop_event_.get());
  if (options_.connection) {
    options_.connection(socket);
    return;
  }
  MessageReader reader(&socket);
  reader.set_limit(Millis(300000));  // an idle connection is kept
  for (uint32_t number = 0; socket.valid() && !stopping_; ++number) {
    Request request;
    ReadResult read = reader.ReadRequestHead(&request);
    if (read == ReadResult::kMalformed) malformed_.fetch_add(1);
    if (read != ReadResult::kOk) return;
    Begin(request);
    Exchange exchange(this, &socket, &reader, index, number);
    exchange.request = std::move(request);
    if (options_.read_bodies) {
      read = reader.ReadBody(&exchange.request);
      if (read == ReadResult::kMalformed) malformed_.fetch_add(1);
      if (read != ReadResult::kOk) return;
    }
    if (options_.record) {
      const std::lock_guard lock(record_mutex_);
      if (recorded_.size() < kMostRecorded) recorded_.push_back(exchange.request);
    }
    options_.handler(exchange);
  }
}

void FakeBackend::Begin(const Request&) {
  requests_.fetch_add(1);
  const uint64_t now = concurrent_.fetch_add(1) + 1;
  uint64_t peak = peak_.load();
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
  }
}

std::vector<Request> FakeBackend::recorded() const {
  const std::lock_guard lock(record_mutex_);
  return recorded_;
}

Request FakeBackend::last() const {
  const std::lock_guard lock(record_mutex_);
  return recorded_.empty() ? Request() : recorded_.back();
}

std::string FakeBackend::Yaml(std::string_view extra) const {
  return BackendYaml(options_.at, extra);
}

std::string BackendYaml(const Endpoint& endpoint, std::string_view extra) {
  std::string item = endpoint.family == AF_UNIX
                         ? fmt::format("{{ host: \"unix:{}\"", endpoint.host)
                         : fmt::format("{{ host: \"{}\", port: {}", endpoint.host, endpoint.port);
  if (!extra.empty()) item += ", " + std::string(extra);
  return item + " }";
}

FullListener::FullListener() {
  listener_ = ListenAt(Endpoint::V4(0), 0);
  port_ = LocalPort(listener_.get());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // A backlog of 0 takes one connection; the next SYNs are dropped.
  for (int i = 0; i < 4; ++i) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int rc = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
    fillers_.push_back(std::move(fd));
    pollfd wait{fillers_.back().get(), POLLOUT, 0};
    if (rc != 0 && poll(&wait, 1, 100) == 0) return;  // full: this one hangs
  }
}

std::string FullListener::Yaml(std::string_view extra) const {
  return BackendYaml(Endpoint::V4(port_), extra);
}

}  // namespace ub::itest
