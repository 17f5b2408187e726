#include "upstream/health_probe.h"

#include "core/clock.h"

namespace ub {
namespace {

class TcpProbe final : public HealthProbe, public ConnectionHandler {
 public:
  TcpProbe(EventLoop* loop, const HealthCheckConfig& config, ProbeHandler* handler)
      : loop_(loop), config_(config), handler_(handler) {}
  ~TcpProbe() override {
    if (connection_ != nullptr) Connection::Retire(std::move(connection_));
  }

  void Start(const ProbeTarget& target) override {
    bool connected = false;
    auto made = ConnectToTarget(loop_, target, this, &connected);
    if (!made) {
      handler_->OnProbeDone(false, made.error().detail());
      return;
    }
    connection_ = std::move(*made);
    if (connected) {
      OnConnected(0);
    } else {
      connection_->SetDeadline(loop_->now_ns() + MsToNs(config_.timeout_ms));
    }
  }

  void OnConnected(int error) override {
    connection_->CancelDeadline();
    handler_->OnProbeDone(error == 0, error == 0 ? std::string() : ConnectFailure(*connection_, error));
  }
  void OnReadable() override {}
  void OnWritable() override {}
  void OnDeadline() override { handler_->OnProbeDone(false, "no connection in time"); }

 private:
  EventLoop* loop_;
  const HealthCheckConfig& config_;
  ProbeHandler* handler_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace

Result<std::unique_ptr<Connection>> ConnectToTarget(EventLoop* loop, const ProbeTarget& target,
                                                    ConnectionHandler* handler, bool* connected,
                                                    bool h2) {
  std::unique_ptr<Transport> transport;
  if (target.security != nullptr) {
    transport = target.security->NewTransport(*target.backend, h2);
    if (transport == nullptr) return Fail(Status(StatusCode::kExhausted, StatusSource::kProxy, "no memory for TLS"));
  }
  return Connection::Connect(loop, target.address, target.bytes, handler, connected, std::move(transport));
}

std::string ConnectFailure(const Connection& connection, int error) {
  const std::string text = connection.transport().FailureText();
  return text.empty() ? Status::System("connect", error).detail() : "TLS handshake: " + text;
}

std::unique_ptr<HealthProbe> TcpProbeFactory::Make(EventLoop* loop, const HealthCheckConfig& config,
                                                   BackendProtocol, ProbeHandler* handler) {
  return std::make_unique<TcpProbe>(loop, config, handler);
}

}  // namespace ub
