#include "http/health_probe_http.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/clock.h"
#include "http/body.h"
#include "http/health_probe_http2.h"
#include "http/http1_parser.h"

namespace ub {
namespace {

constexpr size_t kMaxBody = 256 * 1024;  // looked through for the expected text

class HttpProbe final : public HealthProbe, public ConnectionHandler {
 public:
  HttpProbe(EventLoop* loop, const HealthCheckConfig& config, ProbeHandler* handler)
      : loop_(loop), config_(config), handler_(handler) {}
  ~HttpProbe() override {
    if (connection_ != nullptr) Connection::Retire(std::move(connection_));
  }

  void Start(const ProbeTarget& target) override {
    WriteRequest(target.text);
    bool connected = false;
    auto made = ConnectToTarget(loop_, target, this, &connected);
    if (!made) {
      Done(false, made.error().detail());
      return;
    }
    connection_ = std::move(*made);
    // One deadline for the whole check.
    connection_->SetDeadline(loop_->now_ns() + MsToNs(config_.timeout_ms));
    if (connected) OnConnected(0);
  }

  void OnConnected(int error) override {
    if (error != 0) {
      Done(false, ConnectFailure(*connection_, error));
    } else {
      (void)connection_->Write(request_);
    }
  }

  void OnReadable() override {
    while (!done_) {
      char bytes[8192];
      const IoResult result = connection_->Read(bytes, sizeof bytes);
      if (result.state == IoState::kWouldBlock) return;
      if (result.state != IoState::kOk) {
        AtEnd();
        return;
      }
      input_.append(bytes, result.bytes);
      if (!head_done_) {
        TakeHead();
      } else {
        TakeBody();
      }
    }
  }

  void OnWritable() override {}
  void OnDeadline() override { Done(false, head_done_ ? "no whole answer in time" : "no answer in time"); }

 private:
  void WriteRequest(std::string_view host) {
    const bool is_unix = host.substr(0, 5) == "unix:";
    request_ = fmt::format("{} {} HTTP/1.1\r\n", config_.method, config_.path.empty() ? "/" : config_.path);
    bool has_host = false;
    for (const auto& [name, value] : config_.headers) {
      has_host |= EqualsIgnoreCase(name, "Host");
      request_ += fmt::format("{}: {}\r\n", name, value);
    }
    if (!has_host) request_ += fmt::format("Host: {}\r\n", is_unix ? "localhost" : host);
    request_ += "User-Agent: ultrabalancer-health-check\r\nConnection: close\r\n\r\n";
  }

  void TakeHead() {
    const Method method = config_.method == "HEAD" ? Method::kHead : Method::kGet;
    const ParseOutcome outcome = ParseResponseHead(input_, cursor_, ParseLimits(), method, &head_);
    if (outcome.verdict == ParseVerdict::kIncomplete) return;
    if (outcome.verdict == ParseVerdict::kBad) {
      Done(false, outcome.reason);
      return;
    }
    const uint16_t status = head_.status;
    if (status < 200) {  // an interim answer
      input_.erase(0, head_.bytes);
      cursor_ = HeadCursor();
      if (!input_.empty()) TakeHead();
      return;
    }
    if (!StatusExpected(config_, status)) {
      Done(false, fmt::format("status {}", status));
      return;
    }
    if (config_.expected_body.empty() || method == Method::kHead) {
      Done(true, {});
      return;
    }
    head_done_ = true;
    reader_.Begin(head_.body, head_.content_length);
    input_.erase(0, head_.bytes);
    TakeBody();
  }

  void TakeBody() {
    const BodyReader::Piece piece = reader_.Take(input_.data(), input_.size());
    if (piece.error != nullptr) {
      Done(false, piece.error);
      return;
    }
    body_.append(piece.data);
    input_.erase(0, piece.consumed);
    if (body_.find(config_.expected_body) != std::string::npos) {
      Done(true, {});
    } else if (piece.end || body_.size() > kMaxBody) {
      Done(false, "the body lacks the expected text");
    }
  }

  void AtEnd() {
    if (done_) return;
    Done(false, head_done_ ? "the body lacks the expected text" : "the connection ended before an answer");
  }

  void Done(bool success, std::string_view reason) {
    if (done_) return;
    done_ = true;
    if (connection_ != nullptr) connection_->CancelDeadline();
    handler_->OnProbeDone(success, reason);
  }

  EventLoop* loop_;
  const HealthCheckConfig& config_;
  ProbeHandler* handler_;
  std::unique_ptr<Connection> connection_;
  std::string request_, input_, body_;
  bool head_done_ = false, done_ = false;
  HeadCursor cursor_;
  ResponseHead head_;
  BodyReader reader_;
};

}  // namespace

bool StatusExpected(const HealthCheckConfig& config, uint16_t status) {
  return std::any_of(config.expected_status.begin(), config.expected_status.end(),
                     [status](const auto& range) { return status >= range.first && status <= range.second; });
}

std::unique_ptr<HealthProbe> HttpProbeFactory::Make(EventLoop* loop, const HealthCheckConfig& config,
                                                    BackendProtocol protocol, ProbeHandler* handler) {
  const bool h2 = protocol == BackendProtocol::kHttp2;
  if (config.grpc() || (config.http() && h2)) return MakeHttp2Probe(loop, config, handler);
  if (!config.http()) return TcpProbeFactory().Make(loop, config, protocol, handler);
  return std::make_unique<HttpProbe>(loop, config, handler);
}

}  // namespace ub
