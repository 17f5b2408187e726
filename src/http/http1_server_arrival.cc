// The arrival half of Http1Server: who a new connection is from (the PROXY protocol), whether that client may have one more,
// and how fast it must send.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/log.h"
#include "http/client_certificate.h"
#include "http/http1_server.h"
#include "http/proxy_header.h"

namespace ub {
namespace {

constexpr uint64_t kRefusalLogNs = 1'000'000'000;

}  // namespace

Http1Server::~Http1Server() {
  // Not before: whoever closed the connection may have been in the middle of it.
  GiveExchange();
  if (client_key_ != 0) context_->places->Give(client_key_);
}

bool Http1Server::Admit() {
  if (!config().proxy_protocol.accept || !context_->settings.proxy_trust.Contains(client_.peer.bytes())) {
    return TakeClientPlace();
  }
  state_ = State::kProxyHead;
  return true;
}

Status Http1Server::Start() {
  if (state_ != State::kProxyHead && tls_ && !Secure()) {
    return Status(StatusCode::kExhausted, StatusSource::kProxy, "no memory for TLS");
  }
  SetDeadline(state_ == State::kHandshake || state_ == State::kProxyHead ? config().timeout.header_ms : config().timeout.idle_ms);
  return connection_->Start();
}

bool Http1Server::TakeClientPlace() {
  const uint32_t limit = config().limits.connections_per_client;
  const std::string_view address = client_.peer.bytes();
  // Nobody's address, and those who speak for many clients, are not counted.
  if (limit == 0 || address.empty() || context_->settings.trust.Contains(address)) return true;
  const uint64_t key = context_->places->Key(address);
  if (context_->places->Take(key, limit)) {
    client_key_ = key;
    return true;
  }
  // One line a second: whoever runs into this limit may do so a hundred thousand times.
  RefusedClients& refused = context_->refused_clients;
  refused.count++;
  if (const uint64_t now = context_->loop->now_ns(); now - refused.logged_ns >= kRefusalLogNs) {
    std::array<char, PeerAddress::kMaxText> text;
    Log(LogLevel::kNotice, "client {}: too many connections (limits.connections_per_client); {} refused since the last such line",
        client_.peer.Text(&text), refused.count);
    refused = {now, 0};
  }
  return false;
}

bool Http1Server::Secure() {
  std::unique_ptr<Transport> transport = context_->tls == nullptr ? nullptr : context_->tls->NewTransport();
  if (transport == nullptr) return false;
  state_ = State::kHandshake;
  connection_->Secure(std::move(transport));
  return true;
}

// The handshake is over.
void Http1Server::OnConnected(int error) {
  if (error == 0) {
    client_.tls = true;
    Add(context_->counters->tls_handshakes);
    if (connection_->transport().resumed()) Add(context_->counters->tls_resumed);
    if (!config().tls.client_ca.empty()) {
      client_.certificate_fields =
          std::make_unique<const std::string>(ClientCertificateFields(connection_->transport().certificate()));
    }
    state_ = State::kIdle;
    GiveExchange();  // a PROXY head's
    SetDeadline(config().timeout.idle_ms);
    if (connection_->transport().protocol() == "h2") BecomeHttp2({});
    return;
  }
  Add(context_->counters->tls_failures);
  // Who only looks whether somebody is there, as monitors do, has not failed at anything.
  if (error != ECONNRESET) LogHandshakeFailure();
  Close();
}

// One line a second: scanners and floods have nothing else to offer.
void Http1Server::LogHandshakeFailure() {
  RefusedClients& failed = context_->failed_handshakes;
  failed.count++;
  const uint64_t now = context_->loop->now_ns();
  if (now - failed.logged_ns < kRefusalLogNs) return;
  std::array<char, PeerAddress::kMaxText> text;
  Log(LogLevel::kInfo, "client {}: TLS handshake failed: {} ({} failed since the last such line)", client_.peer.Text(&text),
      connection_->transport().FailureText(), failed.count);
  failed = {now, 0};
}

// Before TLS the head is only looked at until it is whole: what follows it is not ours to take.
IoResult Http1Server::ReadProxyBytes(char* to) {
  if (!tls_) return connection_->Read(to, kMaxProxyHeadBytes);
  const ssize_t n = recv(connection_->fd(), to, kMaxProxyHeadBytes, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return {errno == EAGAIN ? IoState::kWouldBlock : IoState::kError, errno, 0};
  return {n == 0 ? IoState::kEof : IoState::kOk, 0, static_cast<size_t>(n)};
}

bool Http1Server::ReadProxyHead() {
  TakeExchange();
  char* to = exchange_->input.Reserve(kMaxProxyHeadBytes);
  const IoResult result = ReadProxyBytes(to);
  if (result.state == IoState::kWouldBlock) return false;
  if (result.state != IoState::kOk) {
    Close();
    return false;
  }
  exchange_->input.Commit(result.bytes);
  ProxyHead head;
  const char* reason = "";
  const ProxyVerdict verdict = ParseProxyHead(exchange_->input.view(), &head, &reason);
  if (verdict == ProxyVerdict::kIncomplete && tls_) {
    exchange_->input.Clear();  // it is read anew with the next edge
    return false;
  }
  if (!tls_) Add(context_->counters->bytes_received, result.bytes);  // else they were only looked at
  if (verdict == ProxyVerdict::kIncomplete) {
    connection_->LookAgain();
    return true;
  }
  std::array<char, PeerAddress::kMaxText> text;
  if (verdict == ProxyVerdict::kBad) {
    // No answer: whoever is there does not speak HTTP yet.
    Log(LogLevel::kNotice, "peer {}: {}, closed", client_.peer.Text(&text), reason);
    Close();
    return false;
  }
  if (tls_) {
    (void)connection_->Read(to, head.bytes);
    Add(context_->counters->bytes_received, head.bytes);
    exchange_->input.Clear();
  } else {
    exchange_->input.Consume(head.bytes);
  }
  unparsed_ = !exchange_->input.empty();
  if (head.source) client_.peer = *head.source;
  client_.tls = head.tls;
  state_ = State::kIdle;
  if (!TakeClientPlace()) {
    Close();
    return false;
  }
  if (tls_) {
    if (!Secure()) Close();
    if (state_ == State::kHandshake) SetDeadline(config().timeout.header_ms);
    return false;
  }
  SetDeadline(config().timeout.idle_ms);
  GiveExchange();  // an idle connection holds none
  return true;
}

bool Http1Server::TryHttp2(std::string_view bytes) {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  constexpr std::string_view kEnough = "PRI * HTTP/2";  // where the parser of HTTP/1 sees it
  const size_t there = std::min(bytes.size(), kPreface.size());
  if (requests_ != 0 || there < kEnough.size() || bytes.substr(0, there) != kPreface.substr(0, there)) return false;
  BecomeHttp2(bytes);
  return true;
}

void Http1Server::BecomeHttp2(std::string_view bytes) {
  state_ = State::kClosed;
  connection_->CancelDeadline();
  // `bytes` may lie in the exchange, which stays until this object dies, at the end of the turn.
  context_->owner->OnHttp2(this, {std::move(connection_), std::move(client_), std::exchange(client_key_, 0)}, bytes);
}

void Http1Server::BeginHead() {
  state_ = State::kHead;
  const uint64_t now = context_->loop->now_ns();
  exchange_->head_end_ns = now + MsToNs(config().timeout.header_ms);
  exchange_->rate.Begin(now, MsToNs(config().timeout.header_ms));
}

void Http1Server::AwaitHead(size_t came) {
  connection_->SetDeadline(exchange_->rate.Await(came, config().limits.min_rate_bytes, context_->loop->now_ns(),
                                                 exchange_->head_end_ns));
}

void Http1Server::BeginBody() {
  exchange_->rate.Begin(context_->loop->now_ns(), MsToNs(config().timeout.request_ms));
  AwaitBody(0);
}

void Http1Server::AwaitBody(size_t came) {
  const uint64_t now = context_->loop->now_ns();
  connection_->SetDeadline(exchange_->rate.Await(came, config().limits.min_rate_bytes, now,
                                                 now + MsToNs(config().timeout.request_ms)));
}

}  // namespace ub
