#include "http/management_server.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "core/log.h"
#include "event/address.h"
#include "http/body.h"
#include "http/error_page.h"
#include "http/http1_parser.h"
#include "http/management_handover.h"

namespace ub {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kRequestNs = 5 * kSecondNs;  // a whole request, from its first byte
constexpr uint64_t kIdleNs = 60 * kSecondNs;
constexpr uint64_t kWriteNs = 10 * kSecondNs;  // without any progress
constexpr uint64_t kLingerNs = 2 * kSecondNs;
constexpr int kHandoverBatch = 64;
constexpr int kReadRounds = 4;

// Whether the address that a connection came to can be reached from this machine only.
bool IsLocalAddress(int fd) {
  sockaddr_storage local{};
  socklen_t bytes = sizeof local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &bytes) != 0) return false;
  if (local.ss_family == AF_UNIX) return true;
  if (local.ss_family == AF_INET) {
    return (ntohl(reinterpret_cast<const sockaddr_in&>(local).sin_addr.s_addr) >> 24) == 127;
  }
  const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(local).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

std::string Render(const ManagementResponse& response, bool close, bool head_only) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n{}{}\r\n",
      response.status, ReasonPhrase(response.status), HttpDate(), response.content_type, response.body.size(),
      response.fields, close ? "Connection: close\r\n" : "");
  if (!head_only) out += response.body;
  return out;
}

}  // namespace

class ManagementServer::Client final : public ConnectionHandler {
 public:
  Client(ManagementServer* server, UniqueFd fd, const sockaddr_storage& peer, std::string_view input, bool main_port)
      : server_(server),
        local_address_(IsLocalAddress(fd.get())),
        main_port_(main_port),
        connection_(std::make_unique<Connection>(server->loop_, std::move(fd), PlainTransport(), this)),
        input_(input) {
    std::array<char, PeerAddress::kMaxText> text;
    peer_ = PeerAddress::From(peer).Text(&text);
    Touch(kRequestNs);
  }
  ~Client() override {
    if (connection_ != nullptr) Connection::Retire(std::move(connection_));
  }

  Status Start() { return connection_->Start(); }
  void Begin() { Process(); }
  // Ends it at once; the caller forgets it.
  void Drop() { Connection::Retire(std::move(connection_)); }
  uint64_t exchange() const { return exchange_; }
  bool waiting() const { return state_ == State::kWaiting; }
  // Kept alive after an answer, and nothing of another request is here.
  bool idle() const { return answered_ && state_ == State::kHead && input_.empty() && !connection_->congested(); }
  uint64_t quiet_since() const { return active_ns_; }

  void OnConnected(int) override {}
  void OnWritable() override {
    if (state_ == State::kFlushing) Linger();
    if (connection_ == nullptr || state_ != State::kHead) return;
    Process();
    if (connection_ != nullptr && connection_->readable()) OnReadable();
  }
  void OnDeadline() override {
    if (connection_->congested() && connection_->sent_bytes() != progress_) {
      progress_ = connection_->sent_bytes();
      connection_->SetDeadline(server_->loop_->now_ns() + kWriteNs);
      return;
    }
    const bool half_sent = state_ == State::kBody || (state_ == State::kHead && !input_.empty());
    if (half_sent && !connection_->congested()) {
      Send(Refusal(408, "the request did not come in time"), true);
    } else if (state_ != State::kWaiting) {
      Close();
    }
  }

  void OnReadable() override {
    // While an answer is worked out nothing is read: the next request waits in the socket. Others have their turn too.
    for (int round = 0; connection_ != nullptr && state_ != State::kWaiting && !connection_->congested(); ++round) {
      if (round == kReadRounds) {
        connection_->ReadSoon();
        return;
      }
      char bytes[16384];
      const IoResult result = connection_->Read(bytes, sizeof bytes);
      if (result.state == IoState::kWouldBlock) return;
      if (result.state != IoState::kOk) {
        Close();
        return;
      }
      if (state_ == State::kLingering) continue;
      if (input_.empty() && state_ == State::kHead) Touch(kRequestNs);
      input_.append(bytes, result.bytes);
      Process();
    }
  }

  void Answer(const ManagementResponse& response) {
    if (state_ != State::kWaiting) return;
    Send(response, close_);
    if (connection_ != nullptr && state_ == State::kHead) {
      Process();
      if (connection_ != nullptr && connection_->readable()) OnReadable();
    }
  }

 private:
  enum class State : uint8_t { kHead, kBody, kWaiting, kFlushing, kLingering };

  static ManagementResponse Refusal(uint16_t status, std::string_view why) {
    // Reasons are literals without quotes.
    return {status, "application/json",
            fmt::format("{{\"success\":false,\"message\":\"{}\",\"data\":null}}\n", why)};
  }

  void Touch(uint64_t within_ns) {
    active_ns_ = server_->loop_->now_ns();
    connection_->SetDeadline(active_ns_ + within_ns);
  }

  // Takes requests from what was read, one after another.
  void Process() {
    while (connection_ != nullptr && !connection_->congested()) {
      if (state_ == State::kHead && !TakeHead()) return;
      if (state_ != State::kBody || !TakeBody()) return;
    }
  }

  bool TakeHead() {
    const ParseOutcome outcome = ParseRequestHead(input_, cursor_, ParseLimits(), &head_);
    if (outcome.verdict == ParseVerdict::kIncomplete) return false;
    if (outcome.verdict == ParseVerdict::kBad) {
      Send(Refusal(outcome.status, outcome.reason), true);
      return false;
    }
    cursor_ = HeadCursor();
    close_ = main_port_ || !head_.keep_alive || head_.minor_version == 0;
    head_only_ = head_.method == Method::kHead;
    if (!head_.target.starts_with('/')) {  // OPTIONS * (CONNECT was refused with the head)
      Send(Refusal(400, "the request target is no path"), true);
      return false;
    }
    if (head_.body == BodyKind::kLength && head_.content_length > kMaxBody) {
      Send(Refusal(413, "the body is larger than 64 KiB"), true);
      return false;
    }
    reader_.Begin(head_.body, head_.content_length);
    if (head_.expect_continue && head_.bytes == input_.size() && !reader_.done()) {
      (void)connection_->Write("HTTP/1.1 100 Continue\r\n\r\n");
    }
    taken_ = head_.bytes;
    body_.clear();
    state_ = State::kBody;
    return true;
  }

  // `head_` points into `input_`, which may move while the body comes in: it is parsed again then.
  bool TakeBody() {
    const BodyReader::Piece piece = reader_.Take(input_.data() + taken_, input_.size() - taken_);
    if (piece.error != nullptr) {
      Send(Refusal(400, piece.error), true);
      return false;
    }
    body_.append(piece.data);
    if (body_.size() > kMaxBody) {
      Send(Refusal(413, "the body is larger than 64 KiB"), true);
      return false;
    }
    input_.erase(taken_, piece.consumed);
    if (!piece.end) return false;
    Dispatch();
    return connection_ != nullptr && state_ == State::kHead;
  }

  void Dispatch() {
    const std::string text = input_.substr(0, taken_);
    input_.erase(0, taken_);
    HeadCursor cursor;
    (void)ParseRequestHead(text, cursor, ParseLimits(), &head_);
    const size_t mark = head_.target.find('?');
    ManagementRequest request;
    request.head = &head_;
    request.path = head_.target.substr(0, mark);
    request.query = mark == std::string_view::npos ? std::string_view() : head_.target.substr(mark + 1);
    request.body = body_;
    request.peer = peer_;
    request.local_address = local_address_;
    request.main_port = main_port_;
    request.exchange = exchange_ = server_->next_exchange_++;
    state_ = State::kWaiting;
    connection_->CancelDeadline();
    const std::optional<ManagementResponse> response = server_->handler_->OnRequest(request);
    if (response) Send(*response, close_);
  }

  void Send(const ManagementResponse& response, bool close) {
    close |= server_->left_ != nullptr;
    answered_ = true;
    progress_ = connection_->sent_bytes();
    const bool written = connection_->Write(Render(response, close, head_only_));
    head_only_ = false;  // a refusal of what comes next may come before its method is known
    if (!written) {
      Close();
      return;
    }
    if (close) {
      state_ = State::kFlushing;
      Touch(kWriteNs);
      if (!connection_->congested()) Linger();
      return;
    }
    state_ = State::kHead;
    Touch(connection_->congested() ? kWriteNs : input_.empty() ? kIdleNs : kRequestNs);
  }

  // What the client still sends is read and dropped: closing with it unread would be a reset that
  // can overtake the answer.
  void Linger() {
    state_ = State::kLingering;
    input_.clear();
    connection_->ShutdownWrite();
    Touch(kLingerNs);
    if (connection_->peer_ended() && !connection_->readable()) {
      Close();
    } else if (connection_->readable()) {
      connection_->ReadSoon();
    }
  }

  void Close() {
    if (connection_ == nullptr) return;
    Connection::Retire(std::move(connection_));
    server_->Remove(this);
  }

  ManagementServer* const server_;
  const bool local_address_, main_port_;
  std::unique_ptr<Connection> connection_;
  State state_ = State::kHead;
  bool close_ = false, head_only_ = false, answered_ = false;
  uint64_t active_ns_ = 0, exchange_ = 0;
  uint32_t progress_ = 0;
  std::string peer_, input_, body_;
  size_t taken_ = 0;  // bytes of the head at the beginning of input_
  HeadCursor cursor_;
  RequestHead head_;
  BodyReader reader_;
};

ManagementServer::ManagementServer(EventLoop* loop, ManagementHandler* handler) : loop_(loop), handler_(handler) {}

ManagementServer::~ManagementServer() = default;

void ManagementServer::Listen(std::vector<UniqueFd> sockets) {
  for (OpenListener& open : listeners_) open.listener->Drain();
  listeners_.clear();
  for (UniqueFd& fd : sockets) {
    auto listener = std::make_unique<Listener>(loop_, fd.get(), this);
    if (Status status = listener->Start(); !status.ok()) {
      Log(LogLevel::kError, "the management address cannot be served: {}", status.ToString());
      continue;
    }
    listeners_.push_back({std::move(fd), std::move(listener)});
  }
}

void ManagementServer::Leave(std::function<void()> left) {
  // Not emptied: both queues are the next controller's.
  handover_watcher_.Unwatch();
  listeners_.clear();
  left_ = std::move(left);
  for (size_t i = clients_.size(); i-- > 0;) {
    if (!clients_[i]->idle()) continue;
    clients_[i]->Drop();
    loop_->Retire(std::move(clients_[i]));
    clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (clients_.empty()) left_();
}

void ManagementServer::TakeHandover(int fd) {
  handover_fd_ = fd;
  if (Status status = handover_watcher_.Watch<&ManagementServer::OnHandover>(loop_, fd, FdWatcher::kRead, this);
      !status.ok()) {
    Log(LogLevel::kError, "management paths of the main port cannot be served: {}", status.ToString());
  }
}

void ManagementServer::OnHandover(void* self, unsigned) {
  auto* server = static_cast<ManagementServer*>(self);
  std::string input;
  for (int i = 0; i < kHandoverBatch; ++i) {
    UniqueFd fd = ReceiveHandover(server->handover_fd_, &input);
    if (!fd.valid()) return;
    sockaddr_storage peer{};
    socklen_t bytes = sizeof peer;
    (void)getpeername(fd.get(), reinterpret_cast<sockaddr*>(&peer), &bytes);
    server->Add(std::move(fd), peer, input, true);
  }
}

void ManagementServer::OnAccept(UniqueFd fd, const sockaddr_storage& peer, const Listener& /*listener*/) { Add(std::move(fd), peer, {}, false); }

void ManagementServer::Add(UniqueFd fd, const sockaddr_storage& peer, std::string_view input, bool main_port) {
  MakeRoom();
  auto client = std::make_unique<Client>(this, std::move(fd), peer, input, main_port);
  if (Status status = client->Start(); !status.ok()) {
    Log(LogLevel::kError, "a management connection is dropped: {}", status.ToString());
    return;
  }
  Client* const begun = client.get();
  clients_.push_back(std::move(client));
  if (!input.empty()) begun->Begin();
}

void ManagementServer::MakeRoom() {
  while (clients_.size() >= kMaxClients) {
    const auto quietest = std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
      return std::pair(a->waiting(), a->quiet_since()) < std::pair(b->waiting(), b->quiet_since());
    });
    (*quietest)->Drop();
    loop_->Retire(std::move(*quietest));
    clients_.erase(quietest);
  }
}

void ManagementServer::Remove(Client* client) {
  const auto at = std::find_if(clients_.begin(), clients_.end(), [&](const auto& each) { return each.get() == client; });
  if (at == clients_.end()) return;
  loop_->Retire(std::move(*at));
  clients_.erase(at);
  if (left_ && clients_.empty()) left_();
}

void ManagementServer::Answer(uint64_t exchange, const ManagementResponse& response) {
  const auto at = std::find_if(clients_.begin(), clients_.end(), [&](const auto& each) {
    return each->waiting() && each->exchange() == exchange;
  });
  if (at != clients_.end()) (*at)->Answer(response);
}

}  // namespace ub
