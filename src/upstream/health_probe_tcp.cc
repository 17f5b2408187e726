#include "upstream/health_probe.h"

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
    auto made = Connection::Connect(loop_, target.address, target.bytes, this, &connected);
    if (!made) {
      handler_->OnProbeDone(false, made.error().detail());
      return;
    }
    connection_ = std::move(*made);
    if (connected) {
      OnConnected(0);
    } else {
      connection_->SetDeadline(loop_->now_ns() + uint64_t{config_.timeout_ms} * 1'000'000);
    }
  }

  void OnConnected(int error) override {
    connection_->CancelDeadline();
    handler_->OnProbeDone(error == 0, error == 0 ? std::string() : Status::System("connect", error).detail());
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

std::unique_ptr<HealthProbe> TcpProbeFactory::Make(EventLoop* loop, const HealthCheckConfig& config,
                                                   ProbeHandler* handler) {
  return std::make_unique<TcpProbe>(loop, config, handler);
}

}  // namespace ub
