#include "http/http2_client.h"

#include <algorithm>

#include "core/clock.h"
#include "core/log.h"
#include "http/char_class.h"
#include "http/http2_clients.h"
#include "http/http2_limits.h"

namespace ub {
namespace {

constexpr size_t kMaxStreams = 1000;      // at once, whatever a backend allows
constexpr uint32_t kWindow = 0x7fffffff;  // the connection's: what streams may hold is bounded by their own windows

}  // namespace

Http2Client::Http2Client(Http2Clients* owner, uint32_t slot, uint32_t generation)
    : owner_(owner), slot_(slot), generation_(generation), turn_end_(owner->loop(), &Http2Client::OnTurnEnd, this) {}

Http2Client::~Http2Client() { SetIdle(false); }

const Config& Http2Client::config() const { return owner_->config(); }

ParseLimits Http2Client::Limits() const {
  const LimitsConfig& limits = config().limits;
  return {limits.header_bytes, limits.headers, limits.uri_bytes};
}

Status Http2Client::Connect(const UpstreamAttempt::Request& request) {
  std::unique_ptr<Transport> transport;
  const auto& [security, backend] = request.security;
  if (backend != nullptr) address_ = backend->address_text;
  secure_ = security != nullptr && security->enabled();
  if (secure_) {
    transport = security->NewTransport(*backend, true);
    if (transport == nullptr) return Status(StatusCode::kExhausted, StatusSource::kProxy, "no memory for TLS");
  }
  bool connected = false;
  auto made = Connection::Connect(owner_->loop(), request.address, request.address_bytes, this, &connected,
                                  std::move(transport));
  if (!made) return made.error();
  connection_ = std::move(*made);
  connection_->SetDeadline(owner_->loop()->now_ns() + MsToNs(config().timeout.connect_ms));
  if (connected) Begin();
  return Status::Ok();
}

void Http2Client::OnConnected(int error) {
  if (error != 0) {
    const StatusCode code = error == ETIMEDOUT ? StatusCode::kTimeout : StatusCode::kRefused;
    const std::string failure = connection_->transport().FailureText();
    Die(TryFailure::kConnect, code,
        failure.empty() ? Status::System("connect", error).detail() : "TLS handshake: " + failure);
  } else if (secure_ && connection_->transport().protocol() != "h2") {
    Die(TryFailure::kConnect, StatusCode::kProtocol, "TLS handshake: the backend did not choose h2 (protocol: h2)");
  } else {
    Begin();
  }
}

void Http2Client::Begin() {
  const Http2Config& http2 = config().http2;
  state_ = State::kSettling;
  codec_ = Http2Codec::Client({0, static_cast<uint32_t>(http2.initial_window_bytes), kWindow,
                               static_cast<uint32_t>(http2.header_list_bytes), http2.max_continuations},
                              this);
  if (codec_ == nullptr) {  // the deadline ends it
    Log(LogLevel::kError, "backend {}: no memory for HTTP/2", address_);
    return;
  }
  FlushSoon();
  if (connection_->readable()) connection_->ReadSoon();
}

size_t Http2Client::room() const {
  if (state_ != State::kOpen || leaving_) return 0;
  const size_t most = std::min<size_t>(codec_->peer_streams(), kMaxStreams);
  return most > streams_.size() ? most - streams_.size() : 0;
}

bool Http2Client::Open(Http2Attempt* attempt) {
  const UpstreamAttempt::Request& request = attempt->request_;
  Http2Outgoing& out = attempt->out_;
  out.bytes.Append(request.body);
  out.trailers.assign(request.trailers);
  out.end = request.body_complete && !request.upgrade;
  if (const char* why = WhyNot(request); why != nullptr) {
    Take(attempt);
    attempt->OpenRefused(this, why);
    Mark(attempt);
    return true;
  }
  Http2Fields& fields = owner_->fields();
  fields.Clear();
  fields.AddRequest(request.head, secure_, request.te_trailers, request.upgrade);
  const bool body = !out.end || !out.bytes.empty() || !out.trailers.empty();
  const int32_t id = codec_->SendRequest(attempt, fields.fields(), body);
  if (id < 0) {
    out.bytes.Clear();
    Leave();
    return false;
  }
  Take(attempt);
  attempt->Open(this, id);
  const uint32_t most = config().connection_pool.max_requests;
  if (++requests_ >= most && most != 0) leaving_ = true;  // more: a reload has lowered it
  return true;
}

void Http2Client::Take(Http2Attempt* attempt) {
  buffered_ += attempt->out_.bytes.size();
  attempt->place_ = static_cast<uint32_t>(streams_.size());
  streams_.push_back(attempt);
  SetIdle(false);
  connection_->CancelDeadline();
  FlushSoon();
}

const char* Http2Client::WhyNot(const UpstreamAttempt::Request& request) const {
  if (!request.upgrade) return nullptr;
  if (!codec_->peer_connects()) return "an upgrade, and the backend takes none by HTTP/2 (it does not announce RFC 8441)";
  const bool websocket = EqualsIgnoreCase(LineValue(request.head, "upgrade"), "websocket");
  return websocket ? nullptr : "an upgrade to another protocol than websocket, which HTTP/2 has not";
}

void Http2Client::Drop(Http2Attempt* attempt) {
  if (attempt->queued_) std::replace(work_.begin(), work_.end(), attempt, static_cast<Http2Attempt*>(nullptr));
  if (attempt->waiting_) std::erase(waiting_, attempt);
  attempt->queued_ = attempt->waiting_ = false;
  buffered_ -= attempt->out_.bytes.size();
  if (!attempt->closed_) {
    codec_->Reset(attempt->id_, attempt->reset_);
    codec_->Forget(attempt->id_);
    watch_.Reset();
  }
  const uint32_t place = attempt->place_;
  streams_[place] = streams_.back();
  streams_[place]->place_ = place;
  streams_.pop_back();
  FlushSoon();
}

void Http2Client::Leave() {
  leaving_ = true;
  FlushSoon();
}

void Http2Client::Doubt(uint64_t since_ns) {
  if (heard_ns_ < since_ns) Leave();
}

void Http2Client::BodyCame(Http2Attempt* attempt, size_t bytes) {
  buffered_ += bytes;
  Http2Outgoing& out = attempt->out_;
  if (out.deferred && (out.end || bytes > 0)) {
    out.deferred = false;
    codec_->ResumeBody(attempt->id_);
  }
  FlushSoon();
}

void Http2Client::BodyTaken(Http2Attempt* attempt, size_t bytes) {
  codec_->ConsumeStream(attempt->id_, bytes);
  FlushSoon();
}

void Http2Client::Await(Http2Attempt* attempt) {
  attempt->waiting_ = true;
  waiting_.push_back(attempt);
}

uint32_t Http2Client::sent_bytes() const { return connection_->sent_bytes(); }

bool Http2Client::congested() const { return buffered_ >= config().http2.buffer_bytes || connection_->congested(); }

void Http2Client::OnReadable() {
  for (int round = 1; ReadOnce(); ++round) {
    if (round == kHttp2MaxRounds) {
      connection_->ReadSoon();
      return;
    }
  }
}

bool Http2Client::ReadOnce() {
  if (state_ == State::kClosed || codec_ == nullptr) return false;
  if (connection_->congested() && codec_->queued() > kHttp2MaxQueued) return false;
  Buffer input(&owner_->loop()->buffers());
  char* to = input.Reserve(kHttp2ReadBytes);
  const IoResult result = connection_->Read(to, kHttp2ReadBytes);
  if (result.state == IoState::kWouldBlock && connection_->write_error() == 0) return false;
  if (result.state != IoState::kOk) {
    const bool closed = result.state == IoState::kEof;
    const bool stood = state_ == State::kOpen;
    Die(stood ? TryFailure::kReset : TryFailure::kConnect, closed ? StatusCode::kClosed : StatusCode::kReset,
        std::string(closed ? "connection closed" : "connection reset") + (stood ? "" : " before HTTP/2 began"));
    return false;
  }
  heard_ns_ = owner_->loop()->now_ns();
  const std::string_view bytes(to, result.bytes);
  if (!begun_ && bytes.starts_with("HTTP/")) {
    Die(TryFailure::kConnect, StatusCode::kProtocol, "the backend answers in HTTP/1 (protocol: h2)");
    return false;
  }
  begun_ = true;
  Take(bytes);
  // More must come; a reset that came with these bytes would tell by no edge that it will not.
  if (state_ != State::kClosed && (!streams_.empty() || codec_->in_head())) connection_->LookAgain();
  return state_ != State::kClosed;
}

void Http2Client::Take(std::string_view bytes) {
  const bool good = codec_->Receive(bytes);
  Work();
  FlushSoon();
  if (!good) EndTurn();
}

void Http2Client::Mark(Http2Attempt* attempt) {
  if (!attempt->queued_) {
    attempt->queued_ = true;
    work_.push_back(attempt);
  }
}

void Http2Client::FlushSoon() {
  if (state_ != State::kClosed && codec_ != nullptr) owner_->loop()->RunSoon(&turn_end_);
}

void Http2Client::Work() {
  if (working_) return;
  working_ = true;
  for (size_t i = 0; i < work_.size(); ++i) {
    Http2Attempt* attempt = work_[i];
    if (attempt == nullptr) continue;
    attempt->queued_ = false;
    attempt->Work();
  }
  work_.clear();
  working_ = false;
}

void Http2Client::Flush() {
  for (int round = 0; !connection_->congested() && connection_->write_error() == 0; ++round) {
    if (round == kHttp2MaxRounds) return FlushSoon();
    Buffer out(&owner_->loop()->buffers());
    codec_->Produce(kHttp2BatchBytes, &out);
    if (out.empty()) return;
    // A failure shows at the next read, after whatever the backend had to say before it.
    (void)connection_->Write(out.view());
  }
}

// As Http2Server::Wake: those that still may not send stand before those that were just told.
void Http2Client::Wake() {
  if (waiting_.empty()) return;
  std::vector<Http2Attempt*> asked, left;
  asked.swap(waiting_);
  for (Http2Attempt* attempt : asked) {
    if (attempt->client_ != this || !attempt->waiting_) continue;  // it has ended meanwhile
    if (!attempt->closed_ && attempt->blocked()) {
      left.push_back(attempt);
      continue;
    }
    attempt->waiting_ = false;
    attempt->handler_->OnAttemptWritable();
  }
  std::erase_if(left, [this](const Http2Attempt* attempt) { return attempt->client_ != this || !attempt->waiting_; });
  waiting_.insert(waiting_.begin(), left.begin(), left.end());
}

void Http2Client::OnTurnEnd(void* self) { static_cast<Http2Client*>(self)->EndTurn(); }

void Http2Client::EndTurn() {
  if (state_ == State::kClosed || codec_ == nullptr) return;
  Work();
  if (state_ == State::kSettling && settled_) {
    state_ = State::kOpen;
    connection_->CancelDeadline();
  }
  if (told_to_leave_ && requests_ == 0) return Close();  // before it is taken for one to be replaced at once
  owner_->Serve(slot_);
  Flush();
  Work();
  Wake();
  if (codec_->done() && (!connection_->congested() || connection_->write_error() != 0)) {
    const bool stood = state_ == State::kOpen;
    // It has ended as it should. Attempts whose streams are over may still have to hand on what came: nothing is lost to them.
    const bool over = std::all_of(streams_.begin(), streams_.end(), [](const Http2Attempt* each) { return each->closed_; });
    if (stood && over && codec_->failure().empty()) return Close();
    if (!told_ && stood) Log(LogLevel::kWarn, "backend {}: HTTP/2 connection closed: {}", address_, codec_->failure());
    Die(stood ? TryFailure::kBadResponse : TryFailure::kConnect, StatusCode::kProtocol,
        "HTTP/2: " + (codec_->failure().empty() ? std::string("connection ended") : codec_->failure()));
    return;
  }
  if (leaving_ && streams_.empty()) return Close();
  Update();
  if (state_ != State::kClosed && connection_->readable() &&
      !(connection_->congested() && codec_->queued() > kHttp2MaxQueued)) {
    connection_->ReadSoon();
  }
}

void Http2Client::SetIdle(bool idle) {
  if (idle_ == idle) return;
  idle_ = idle;
  owner_->CountIdle(slot_, idle);
}

void Http2Client::Update() {
  if (state_ != State::kOpen || !streams_.empty() || idle_) return;
  if (!owner_->MayIdle(slot_)) return Close();
  SetIdle(true);
  connection_->SetDeadline(owner_->loop()->now_ns() + MsToNs(config().connection_pool.idle_timeout_ms));
}

void Http2Client::OnDeadline() {
  if (state_ == State::kConnecting) {
    Die(TryFailure::kConnect, StatusCode::kTimeout, "no connection in time");
  } else if (state_ == State::kSettling) {
    Die(TryFailure::kConnect, StatusCode::kTimeout, "connected, but no SETTINGS of HTTP/2 in time");
  } else {
    Close();
  }
}

void Http2Client::Close() {
  if (codec_ != nullptr && streams_.empty() && !codec_->done()) {
    codec_->Terminate(Http2Error::kNone);
    Flush();
  }
  Die(TryFailure::kReset, StatusCode::kClosed, "connection closed");
}

void Http2Client::Die(TryFailure failure, StatusCode code, std::string why) {
  if (state_ == State::kClosed) return;
  // One that we close ourselves is no connect that failed; one that the backend wants nothing on from its beginning is.
  const bool sent_away = told_to_leave_ && requests_ == 0;
  const bool failed_to_stand = sent_away || (state_ != State::kOpen && failure == TryFailure::kConnect);
  if (sent_away) why = "HTTP/2: GOAWAY before any request";
  state_ = State::kClosed;
  turn_end_.Cancel();
  SetIdle(false);
  work_.clear();
  waiting_.clear();
  std::vector<Http2Attempt*> streams;
  streams.swap(streams_);
  for (Http2Attempt* attempt : streams) attempt->Lose(failure, code, why);
  Connection::Retire(std::move(connection_));
  Http2Clients* const owner = owner_;
  const uint32_t slot = slot_;
  owner->OnClosed(slot, this);
  for (Http2Attempt* attempt : streams) {
    if (attempt->client_ == nullptr) attempt->Work();
  }
  owner->Serve(slot, failed_to_stand ? &why : nullptr, code);
}

}  // namespace ub
