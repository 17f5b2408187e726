#include "http/health_probe_http2.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/health_probe_http.h"
#include "http/http2_codec.h"
#include "http/http2_fields.h"
#include "http/http2_outgoing.h"
#include "http/http2_response.h"

namespace ub {
namespace {

constexpr size_t kMaxBody = 256 * 1024;  // looked through for the expected text
constexpr size_t kMaxList = 64 * 1024;   // of header fields
constexpr uint32_t kMaxCheap = 1000;     // frames that cost nothing
constexpr int kMaxRounds = 4;            // reads before others get their turn
constexpr size_t kGrpcPrefix = 5;

constexpr uint32_t kGrpcNotFound = 5, kGrpcUnimplemented = 12;

class Http2Probe final : public HealthProbe, public ConnectionHandler, public CodecStream, private Http2Events {
 public:
  Http2Probe(EventLoop* loop, const HealthCheckConfig& config, ProbeHandler* handler)
      : loop_(loop), config_(config), handler_(handler), out_(&loop->buffers()) {}
  ~Http2Probe() override {
    if (connection_ != nullptr) Connection::Retire(std::move(connection_));
  }

  void Start(const ProbeTarget& target) override {
    host_ = target.text.starts_with("unix:") ? "localhost" : target.text;
    secure_ = target.security != nullptr;
    bool connected = false;
    auto made = ConnectToTarget(loop_, target, this, &connected, true);
    if (!made) return Done(false, made.error().detail());
    connection_ = std::move(*made);
    // One deadline for the whole check.
    connection_->SetDeadline(loop_->now_ns() + uint64_t{config_.timeout_ms} * 1'000'000);
    if (connected) OnConnected(0);
  }

  void OnConnected(int error) override {
    if (error != 0) return Done(false, ConnectFailure(*connection_, error));
    if (secure_ && connection_->transport().protocol() != "h2") return Done(false, "TLS handshake: the backend did not choose h2");
    codec_ = Http2Codec::Client(Http2Settings(), this);
    if (codec_ == nullptr) return Done(false, "no memory for HTTP/2");
    Ask();
    Flush();
  }

  void OnReadable() override {
    for (int round = 0; !done_ && codec_ != nullptr; ++round) {
      if (round == kMaxRounds) return connection_->ReadSoon();
      char bytes[8192];
      const IoResult result = connection_->Read(bytes, sizeof bytes);
      if (result.state == IoState::kWouldBlock) return;
      if (result.state != IoState::kOk) return Done(false, begun_ ? "the connection ended before an answer" : "no HTTP/2");
      if (!begun_ && std::string_view(bytes, result.bytes).starts_with("HTTP/")) {
        return Done(false, "the backend answers in HTTP/1 (protocol: h2)");
      }
      begun_ = true;
      const bool good = codec_->Receive({bytes, result.bytes});
      Flush();
      if (over_) return Judge();
      if (!good || codec_->done()) return Done(false, "HTTP/2: " + codec_->failure());
    }
  }

  void OnWritable() override {
    if (codec_ != nullptr) Flush();
  }
  void OnDeadline() override { Done(false, head_done_ ? "no whole answer in time" : "no answer in time"); }

 private:
  void Ask() {
    Http2Fields fields;
    const bool grpc = config_.grpc();
    fields.Add(":method", grpc ? std::string_view("POST") : std::string_view(config_.method));
    fields.Add(":scheme", secure_ ? "https" : "http");
    for (const auto& [name, value] : config_.headers) {
      if (EqualsIgnoreCase(name, "Host")) host_ = value;
    }
    fields.Add(":authority", host_);
    fields.Add(":path", grpc ? "/grpc.health.v1.Health/Check" : config_.path.empty() ? "/" : std::string_view(config_.path));
    for (const auto& [name, value] : config_.headers) {
      if (!EqualsIgnoreCase(name, "Host") && !IsConnectionSpecific(HeaderIdOf(name))) fields.Add(name, value);
    }
    fields.Add("user-agent", "ultrabalancer-health-check");
    if (grpc) {
      fields.Add("content-type", "application/grpc");
      fields.Add("te", "trailers");
      out_.bytes.Append(GrpcHealthRequest(config_.grpc_service));
    }
    out_.end = true;
    stream_ = codec_->SendRequest(this, fields.fields(), grpc);
  }

  void Flush() {
    Buffer out(&loop_->buffers());
    codec_->Produce(64 * 1024, &out);
    if (!out.empty()) (void)connection_->Write(out.view());
  }

  // Http2Events
  void OnHeadBegins(CodecStream*) override {
    if (!head_done_) response_.Clear();
  }
  bool OnField(CodecStream*, std::string_view name, std::string_view value) override {
    list_ += name.size() + value.size();
    if (name == "grpc-status") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), grpc_status_);
      grpc_status_known_ = error == std::errc() && end == value.data() + value.size();
    } else if (name == "grpc-message") {
      grpc_message_ = value.substr(0, 100);
    }
    if (!head_done_) response_.Add(name, value, ParseLimits());
    return list_ <= kMaxList;
  }
  void OnHeadEnds(CodecStream*) override {
    if (head_done_) return;
    const char* const wrong = response_.Finish(ended_, Method::kGet);
    if (wrong != nullptr) {
      wrong_ = wrong;
      over_ = true;
    }
    head_done_ = wrong == nullptr && response_.status() >= 200;
    // Nothing more is needed.
    if (head_done_ && !config_.grpc() && config_.expected_body.empty()) over_ = true;
  }
  void OnData(CodecStream*, std::string_view data) override {
    codec_->Consume(stream_, data.size());
    const size_t before = body_.size();
    if (before < kMaxBody) body_.append(data);
    // A match may have begun before.
    const size_t from = before - std::min(before, config_.expected_body.size());
    if (!config_.grpc() && body_.find(config_.expected_body, from) != std::string::npos) over_ = true;
    if (body_.size() >= kMaxBody) over_ = true;
  }
  void OnStreamEnds(CodecStream*) override { ended_ = true; }
  void OnStreamClosed(CodecStream*, uint32_t error) override {
    over_ = true;
    if (!ended_ && wrong_.empty()) wrong_ = fmt::format("the stream was reset (error {})", error);
  }
  bool OnCheap(Http2Cheap) override { return ++cheap_ < kMaxCheap; }
  size_t BodyReady(CodecStream*, size_t most, bool* end) override { return out_.Ready(most, end); }
  void TakeBody(CodecStream*, size_t bytes, Buffer* out) override { out_.Take(bytes, out); }
  std::span<const Http2Field> Trailers(CodecStream*) override { return {}; }
  Http2Error ErrorAtEnd(CodecStream*) override { return Http2Error::kNone; }

  void Judge() {
    if (!head_done_) return Done(false, wrong_.empty() ? std::string("the stream ended before an answer") : wrong_);
    const uint16_t status = response_.status();
    if (config_.grpc()) return Done(JudgeGrpc(status));
    if (!StatusExpected(config_, status)) return Done(false, fmt::format("status {}", status));
    const bool looked_at = !config_.expected_body.empty() && config_.method == "GET";
    if (looked_at && body_.find(config_.expected_body) == std::string::npos) {
      return Done(false, "the body lacks the expected text");
    }
    Done(true, {});
  }

  std::string JudgeGrpc(uint16_t status) const {
    if (status != 200) return fmt::format("status {}", status);
    if (!grpc_status_known_) return wrong_.empty() ? "no gRPC status" : wrong_;
    if (grpc_status_ == kGrpcUnimplemented) return "the backend has no health service (gRPC status UNIMPLEMENTED)";
    if (grpc_status_ == kGrpcNotFound) return fmt::format("the backend knows no service \"{}\"", config_.grpc_service);
    if (grpc_status_ != 0) return fmt::format("gRPC status {}{}{}", grpc_status_, grpc_message_.empty() ? "" : ": ", grpc_message_);
    return GrpcHealthVerdict(body_);
  }

  void Done(std::string_view reason) { Done(reason.empty(), reason); }
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
  std::unique_ptr<Http2Codec> codec_;
  std::string host_, body_, wrong_, grpc_message_;
  bool secure_ = false, begun_ = false, head_done_ = false, ended_ = false, over_ = false, done_ = false;
  bool grpc_status_known_ = false;
  uint32_t grpc_status_ = 0, cheap_ = 0;
  int32_t stream_ = 0;
  size_t list_ = 0;
  Http2Response response_;
  Http2Outgoing out_;
};

// A base-128 number of a protobuf message; false where there is none.
bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes->front());
    bytes->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// Passes over a field that is not known. False: the message is broken.
bool SkipField(std::string_view* bytes, uint64_t wire_type) {
  uint64_t size = 0;
  if (wire_type == 0) return TakeVarint(bytes, &size);
  if (wire_type == 1 || wire_type == 5) {
    size = wire_type == 1 ? 8 : 4;
  } else if (wire_type != 2 || !TakeVarint(bytes, &size)) {
    return false;
  }
  if (size > bytes->size()) return false;
  bytes->remove_prefix(static_cast<size_t>(size));
  return true;
}

}  // namespace

std::string GrpcHealthRequest(std::string_view service) {
  std::string message;
  if (!service.empty()) {  // field 1, of bytes
    message += '\x0a';
    for (size_t size = service.size();; size >>= 7) {
      message += static_cast<char>(size < 0x80 ? size : (size & 0x7f) | 0x80);
      if (size < 0x80) break;
    }
    message += service;
  }
  const auto size = static_cast<uint32_t>(message.size());
  const char prefix[kGrpcPrefix] = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                                    static_cast<char>(size >> 8), static_cast<char>(size)};
  return std::string(prefix, kGrpcPrefix) + message;
}

std::string GrpcHealthVerdict(std::string_view response) {
  if (response.size() < kGrpcPrefix) return "no health message";
  size_t size = 0;
  for (size_t i = 1; i < kGrpcPrefix; ++i) size = size << 8 | static_cast<uint8_t>(response[i]);
  if (response[0] != 0) return "a compressed health message, which was not asked for";
  std::string_view message = response.substr(kGrpcPrefix);
  if (message.size() != size) return "a broken health message";
  uint64_t status = 0;
  while (!message.empty()) {
    uint64_t tag = 0;
    if (!TakeVarint(&message, &tag)) return "a broken health message";
    const bool good = tag == 8 ? TakeVarint(&message, &status) : SkipField(&message, tag & 7);
    if (!good) return "a broken health message";
  }
  switch (status) {
    case 1: return {};
    case 0: return "health UNKNOWN";
    case 2: return "health NOT_SERVING";
    case 3: return "health SERVICE_UNKNOWN";
    default: return fmt::format("health {}", status);
  }
}

std::unique_ptr<HealthProbe> MakeHttp2Probe(EventLoop* loop, const HealthCheckConfig& config, ProbeHandler* handler) {
  return std::make_unique<Http2Probe>(loop, config, handler);
}

}  // namespace ub
