// A client's HTTP/1 connection: reads requests one after another, gives each to a session, writes its response.
//
// The stream of the one exchange that is under way. Pipelined requests wait unread, or in a pooled buffer where they came
// along with others. Owned by its worker's list; leaves it by itself. An idle one holds this object and no buffer.
#ifndef UB_HTTP_HTTP1_SERVER_H_
#define UB_HTTP_HTTP1_SERVER_H_

#include <memory>

#include "core/prefetch.h"
#include "event/connection.h"
#include "http/client_connection.h"
#include "http/http1_exchange.h"
#include "http/stream.h"
#include "http/worker_context.h"

namespace ub {

class Http1Server final : public ClientConnection, public ServerStream {
 public:
  // `tls`: the client speaks TLS, by context->tls. `h2c`: it may speak HTTP/2 without.
  Http1Server(WorkerContext* context, UniqueFd fd, const PeerAddress& peer, bool tls = false, bool h2c = false);
  ~Http1Server() override;
  // Whether this client may have one more connection (or will say in a PROXY head who it is). False: let it go.
  bool Admit();
  Status Start();

  // Nothing is under way on it.
  bool idle() const { return state_ == State::kIdle; }
  void Abort() override;

  // ConnectionHandler
  void OnConnected(int error) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnDeadline() override;

  // ServerStream
  const ClientInfo& client() const override { return client_; }
  std::string LocalHost() const override;
  void SendInterim(ResponseHead* head) override;
  void SendHead(ResponseHead* head, std::string_view request_id, std::string_view data, bool end) override;
  void SendBody(std::string_view data, bool end, std::string_view trailers) override;
  void SwitchProtocols(ResponseHead* head, std::string_view request_id, std::string_view data) override;
  size_t SendError(ErrorPage page) override;
  bool congested() const override { return connection_->congested(); }
  void ResumeBody() override;
  void Finish(bool complete) override;
  void Warm() const override {
    Prefetch(connection_.get(), sizeof *connection_);
    Prefetch(exchange_.get(), sizeof *exchange_);
  }

 private:
  enum class State : uint8_t {
    kProxyHead,  // a trusted peer is to say first who the client is
    kHandshake,  // of TLS
    kIdle,      // between two requests
    kHead,      // part of a head has come
    kExchange,  // a session is at work
    kFlushing,  // the last response is still being sent, then it closes
    kLingering,  // the last response is sent; what the client still sends is read and dropped (RFC 9112 section 9.6)
    kClosed,
  };

  // True where another round may find something to do.
  bool Round();
  void TakeExchange();
  // Gives it back, unless bytes wait in it.
  void GiveExchange();
  // Of a new connection, and of the speed that is asked of it (http1_server_arrival.cc).
  bool TakeClientPlace();
  bool ReadProxyHead();
  IoResult ReadProxyBytes(char* to);
  bool Secure();
  void LogHandshakeFailure();
  // True where `bytes`, which are no HTTP/1, begin HTTP/2 (RFC 9113 section 3.3): then this object is no more.
  bool TryHttp2(std::string_view bytes);
  void BecomeHttp2(std::string_view bytes);
  // What the configuration says of Strict-Transport-Security to this client.
  std::string_view Hsts() const { return client_.tls ? std::string_view(context_->settings.hsts) : std::string_view(); }
  void BeginHead();
  void AwaitHead(size_t came);
  void BeginBody();
  void AwaitBody(size_t came);
  bool ReadHead();
  bool ReadBody();
  bool DropInput();
  // The tunnel's (http1_server_tunnel.cc).
  bool ReadTunnel();
  void TunnelDeadline();
  bool TakeHead(char* bytes, size_t count, bool in_scratch);
  void StartExchange(char* rest, size_t count, bool in_scratch, size_t head_bytes);
  // `seen`: what has come of the request, for its log line.
  void Refuse(uint16_t status, const char* reason, std::string_view seen);
  // True where the request, of which `bytes` have come, is none for the proxy but for the management paths.
  bool HandOver(std::string_view bytes);
  void FailExchange(const Status& status, bool can_answer);
  bool ClientIsGone();
  bool WillKeepAlive() const;
  void Send(std::span<const iovec> pieces);
  void BecomeIdle();
  void CloseGracefully();
  void Close();
  void SetDeadline(uint32_t ms);
  const Config& config() const { return *context_->config; }

  WorkerContext* const context_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Http1Exchange> exchange_;  // null while nothing has come of a request
  ClientInfo client_;
  uint64_t client_key_ = 0;     // its place in context_->places; 0: none was taken
  uint32_t requests_ = 0;
  // A bit each: most connections lie idle, and 96 bytes are a size class of jemalloc.
  State state_ = State::kIdle;
  bool processing_ : 1 = false;     // Round() is on the stack
  bool unparsed_ : 1 = false;       // exchange_->input holds bytes that were not looked at
  bool keep_alive_ : 1 = true;      // as far as the request under way allows
  bool client_closes_ : 1 = false;  // the client said that this is its last request
  bool minor_zero_ : 1 = false;     // it speaks HTTP/1.0
  bool head_request_ : 1 = false;
  bool head_sent_ : 1 = false;
  bool half_closed_ok_ : 1 = false;  // the client ended its direction together with its request
  bool until_close_ : 1 = false;    // the response's end is the connection's
  bool tls_ : 1 = false;            // the client is to speak TLS
  bool h2c_ : 1 = false;            // or may speak HTTP/2 without
  bool tunnel_ : 1 = false;         // both sides have switched protocols: no more HTTP here
};

}  // namespace ub

#endif  // UB_HTTP_HTTP1_SERVER_H_
