// A demo backend: a small HTTP/1.1 server on poll(2), with kept-alive connections. It trusts what
// the balancer sends, as far as memory goes: a head is at most 64 KiB, and a body is thrown away.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/demo.h"
#include "core/config_text.h"

namespace ub {
namespace {

constexpr size_t kMaxConnections = 1000;
constexpr size_t kMaxHead = 64 * 1024;

// The page asks /whoami over and over and counts who answers: the spread becomes visible.
constexpr std::string_view kPage = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>UltraBalancer demo</title>
<style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}
h1 b{{color:{color}}}.bar{{height:1.4em;border-radius:3px;min-width:2px;display:inline-block;vertical-align:middle}}
td{{padding:.2em .8em .2em 0}}</style></head><body>
<h1>Answered by <b>backend {number}</b></h1>
<p>This page came through UltraBalancer on connection {connection}, request {request} of this backend.
Reload it, or watch who answers the next ones:</p>
<table id="t"></table>
<script>
const colors=['#c2410c','#15803d','#1d4ed8'],counts={{}};
async function ask(){{try{{const n=(await(await fetch('/whoami',{{cache:'no-store'}})).text()).trim();
counts[n]=(counts[n]||0)+1;document.getElementById('t').innerHTML=Object.keys(counts).sort().map(k=>
`<tr><td>${{k}}</td><td>${{counts[k]}}</td><td><span class="bar" style="width:${{Math.min(counts[k],200)}}px;background:${{
colors[(k.slice(-1)-1)%3]}}"></span></td></tr>`).join('')}}catch(e){{}}setTimeout(ask,200)}}
ask()</script></body></html>
)";
constexpr std::string_view kColors[] = {"#c2410c", "#15803d", "#1d4ed8"};

struct Request {
  std::string_view method, path;
  uint64_t body = 0;
  bool chunked = false, close = false;
};

// A field's value, found without regard to case.
std::string_view Field(std::string_view head, std::string_view lower_name) {
  size_t begin = head.find("\r\n");
  while (begin != std::string_view::npos && begin + 2 < head.size()) {
    begin += 2;
    const size_t end = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, end - begin);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && ToLowerAscii(line.substr(0, colon)) == lower_name) {
      return TrimSpaces(line.substr(colon + 1));
    }
    begin = end;
  }
  return {};
}

Request ParseHead(std::string_view head) {
  Request request;
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const size_t first = line.find(' '), last = line.rfind(' ');
  request.method = line.substr(0, first);
  if (first != std::string_view::npos && last > first)
    request.path = line.substr(first + 1, last - first - 1);
  request.body = ParseUnsigned(Field(head, "content-length")).value_or(0);
  request.chunked = !Field(head, "transfer-encoding").empty();
  const std::string connection = ToLowerAscii(Field(head, "connection"));
  request.close =
      connection == "close" || (line.ends_with("HTTP/1.0") && connection != "keep-alive");
  return request;
}

struct Connection {
  int fd = -1;
  uint64_t number = 0;
  std::string in, out;
  uint64_t skip = 0;  // body bytes still to be thrown away
  bool closing = false;
};

class DemoServer {
 public:
  DemoServer(int listening_fd, int number) : listening_fd_(listening_fd), number_(number) {}

  [[noreturn]] void Run();

 private:
  void Accept();
  // False: the connection is at its end.
  bool Serve(Connection* connection, short events);
  bool ReadSome(Connection* connection);
  void Answer(Connection* connection);
  void AnswerOne(Connection* connection, const Request& request);

  int listening_fd_;
  int number_;
  uint64_t accepted_ = 0, requests_ = 0;
  std::vector<Connection> connections_;
};

void DemoServer::Accept() {
  while (connections_.size() < kMaxConnections) {
    const int fd = accept4(listening_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Connection connection;
    connection.fd = fd;
    connection.number = ++accepted_;
    connections_.push_back(std::move(connection));
  }
}

void DemoServer::AnswerOne(Connection* connection, const Request& request) {
  ++requests_;
  std::string body;
  std::string_view type = "text/plain";
  if (request.path == "/whoami") {
    body = fmt::format("backend {}\n", number_);
  } else if (request.path == "/health") {
    body = "ok\n";
  } else {
    type = "text/html; charset=utf-8";
    body = fmt::format(kPage, fmt::arg("color", kColors[(number_ - 1) % 3]),
                       fmt::arg("number", number_), fmt::arg("connection", connection->number),
                       fmt::arg("request", requests_));
  }
  connection->out += fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nX-Backend: "
      "{}\r\nCache-Control: no-store\r\n{}\r\n",
      type, body.size(), number_, request.close ? "Connection: close\r\n" : "");
  if (request.method != "HEAD") connection->out += body;
}

void DemoServer::Answer(Connection* connection) {
  while (!connection->closing) {
    const uint64_t skipped = std::min<uint64_t>(connection->skip, connection->in.size());
    connection->in.erase(0, skipped);
    connection->skip -= skipped;
    if (connection->skip > 0) return;
    const size_t end = connection->in.find("\r\n\r\n");
    if (end == std::string::npos) {
      connection->closing = connection->in.size() > kMaxHead;
      return;
    }
    Request request = ParseHead(std::string_view(connection->in).substr(0, end + 2));
    // Where a chunked body ends is not worth finding here: the answer is the last of this
    // connection.
    request.close = request.close || request.chunked;
    if (ToLowerAscii(Field(std::string_view(connection->in).substr(0, end + 2), "expect")) ==
        "100-continue") {
      connection->out += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    AnswerOne(connection, request);
    connection->skip = request.body;
    connection->closing = request.close;
    connection->in.erase(0, end + 4);
  }
}

bool DemoServer::ReadSome(Connection* connection) {
  char buffer[16384];
  const ssize_t size = recv(connection->fd, buffer, sizeof(buffer), 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  connection->in.append(buffer, static_cast<size_t>(size));
  Answer(connection);
  return true;
}

bool DemoServer::Serve(Connection* connection, short events) {
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && connection->out.empty() &&
      !ReadSome(connection))
    return false;
  if (!connection->out.empty()) {
    const ssize_t size =
        send(connection->fd, connection->out.data(), connection->out.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    connection->out.erase(0, static_cast<size_t>(size));
  }
  return !connection->closing || !connection->out.empty();
}

void DemoServer::Run() {
  std::vector<pollfd> fds;
  for (;;) {
    fds.clear();
    const bool room = connections_.size() < kMaxConnections;
    fds.push_back({listening_fd_, static_cast<short>(room ? POLLIN : 0), 0});
    for (const Connection& connection : connections_) {
      fds.push_back(
          {connection.fd, static_cast<short>(connection.out.empty() ? POLLIN : POLLOUT), 0});
    }
    if (poll(fds.data(), fds.size(), -1) <= 0) continue;
    for (size_t i = 1; i < fds.size(); ++i) {
      Connection& connection = connections_[i - 1];
      if (fds[i].revents == 0 || Serve(&connection, fds[i].revents)) continue;
      close(connection.fd);
      connection.fd = -1;
    }
    std::erase_if(connections_, [](const Connection& connection) { return connection.fd < 0; });
    if ((fds[0].revents & POLLIN) != 0) Accept();
  }
}

}  // namespace

void ServeDemoBackend(int listening_fd, int number) { DemoServer(listening_fd, number).Run(); }

}  // namespace ub
