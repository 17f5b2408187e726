// A client's connection in its worker's list, whatever protocol is spoken on it, and what it tells its owner.
#ifndef UB_HTTP_CLIENT_CONNECTION_H_
#define UB_HTTP_CLIENT_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "event/connection.h"
#include "http/forward_headers.h"

namespace ub {

class ClientConnection : public ConnectionHandler {
 public:
  // Breaks it off, whatever it does (the drain's deadline).
  virtual void Abort() = 0;
  // The worker drains from now on: for protocols that have a word for it.
  virtual void Drain() {}

 private:
  friend class Worker;
  uint32_t place_ = 0;  // in the worker's list
};

// What is handed on where a connection turns out to speak another protocol.
struct ClientParts {
  std::unique_ptr<Connection> connection;
  ClientInfo client;
  uint64_t client_key = 0;         // its place in WorkerContext::places; 0: none was taken
};

// Who owns the connections.
class ServerOwner {
 public:
  virtual ~ServerOwner() = default;
  // It is over.
  virtual void OnServerClosed(ClientConnection* server) = 0;
  // It speaks HTTP/2, of which `bytes` have come: another takes its place, and it is no more.
  virtual void OnHttp2(ClientConnection* server, ClientParts parts, std::string_view bytes) = 0;
};

}  // namespace ub

#endif  // UB_HTTP_CLIENT_CONNECTION_H_
