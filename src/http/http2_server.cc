#include "http/http2_server.h"

#include <algorithm>
#include <array>

#include "core/log.h"
#include "http/http2_limits.h"

namespace ub {
namespace {

constexpr uint32_t kLingerMs = 2000;
constexpr uint32_t kAnnounceMs = 1000;  // for the client's word that it has read the first GOAWAY

}  // namespace

Http2Server::Http2Server(WorkerContext* context, ClientParts&& parts)
    : context_(context),
      connection_(std::move(parts.connection)),
      client_(std::move(parts.client)),
      client_key_(parts.client_key),
      turn_end_(context->loop, &Http2Server::OnTurnEnd, this) {
  connection_->set_handler(this);
}

Http2Server::~Http2Server() {
  for (auto& stream : streams_) stream->handler_ = nullptr;
  if (client_key_ != 0) context_->places->Give(client_key_);
}

ParseLimits Http2Server::Limits() const {
  const LimitsConfig& limits = config().limits;
  return {limits.header_bytes, limits.headers, limits.uri_bytes};
}

void Http2Server::Start(std::string_view bytes) {
  const Http2Config& http2 = config().http2;
  Add(context_->counters->http2_connections);
  codec_ = Http2Codec::Server({http2.max_concurrent_streams, static_cast<uint32_t>(http2.initial_window_bytes),
                               static_cast<uint32_t>(http2.connection_window_bytes),
                               static_cast<uint32_t>(http2.header_list_bytes), http2.max_continuations, true},
                              this);
  if (codec_ == nullptr) {
    Log(LogLevel::kError, "a connection is dropped: no memory for HTTP/2");
    Close();
    return;
  }
  if (!bytes.empty()) Take(bytes);
  if (context_->draining) Drain();
  FlushSoon();
  if (connection_->readable()) connection_->ReadSoon();
}

void Http2Server::OnReadable() {
  for (int round = 1; ReadOnce(); ++round) {
    if (round == kHttp2MaxRounds) {
      connection_->ReadSoon();
      return;
    }
  }
}

bool Http2Server::Overfull() const { return connection_->congested() && codec_->queued() > kHttp2MaxQueued; }

bool Http2Server::ReadOnce() {
  if (state_ == State::kClosed) return false;
  if (state_ == State::kOpen && connection_->write_error() != 0) {
    FailAll(Status(StatusCode::kReset, StatusSource::kClient, "the client does not take its responses"));
    Close();
    return false;
  }
  if (state_ == State::kOpen && Overfull()) return false;
  Buffer input(&context_->loop->buffers());
  char* to = input.Reserve(kHttp2ReadBytes);
  const IoResult result = connection_->Read(to, kHttp2ReadBytes);
  if (result.state == IoState::kWouldBlock) return false;
  if (result.state != IoState::kOk) {
    FailAll(Status(StatusCode::kClosed, StatusSource::kClient, "the client left"));
    Close();
    return false;
  }
  Add(context_->counters->bytes_received, result.bytes);
  if (state_ == State::kLingering) return true;
  Take({to, result.bytes});
  // More must come; a reset that came with these bytes would tell by no edge that it will not.
  if (state_ == State::kOpen && (bodies_ > 0 || codec_->in_head())) connection_->LookAgain();
  return state_ != State::kClosed;
}

void Http2Server::Take(std::string_view bytes) {
  // What is to be said of it leaves at the end of the turn.
  if (!codec_->Receive(bytes)) FailAll(Status(StatusCode::kProtocol, StatusSource::kClient, "the connection is over"));
  Work();
  FlushSoon();
}

void Http2Server::Mark(Http2Stream* stream) {
  if (!stream->queued_) {
    stream->queued_ = true;
    work_.push_back(stream);
  }
  if (!working_) FlushSoon();
}

void Http2Server::FlushSoon() {
  if (state_ == State::kOpen) context_->loop->RunSoon(&turn_end_);
}

void Http2Server::Work() {
  working_ = true;
  for (size_t i = 0; i < work_.size(); ++i) {
    Http2Stream* stream = work_[i];
    stream->queued_ = false;
    stream->Work();
    if (stream->released() && !stream->queued_) Release(stream);
  }
  work_.clear();
  working_ = false;
}

void Http2Server::Release(Http2Stream* stream) {
  if (stream->waiting_) std::erase(waiting_, stream);
  stream->Clear();
  const uint32_t place = stream->place_;
  std::swap(streams_[place], streams_.back());
  streams_[place]->place_ = place;
  context_->http2_streams.Give(std::move(streams_.back()));
  streams_.pop_back();
}

void Http2Server::OnTurnEnd(void* self) { static_cast<Http2Server*>(self)->EndTurn(); }

void Http2Server::EndTurn() {
  if (state_ != State::kOpen) return;
  Work();
  if (!Flush()) return;
  Work();
  Wake();
  if (codec_->done() && !connection_->congested()) {
    CloseGracefully();
    return;
  }
  Update();
  if (connection_->readable() && !Overfull()) connection_->ReadSoon();
}

bool Http2Server::Flush() {
  for (int round = 0; !connection_->congested(); ++round) {
    if (round == kHttp2MaxRounds) {
      FlushSoon();
      break;
    }
    Buffer out(&context_->loop->buffers());
    codec_->Produce(kHttp2BatchBytes, &out);
    if (out.empty()) break;
    Add(context_->counters->bytes_sent, out.size());
    if (connection_->Write(out.view())) continue;
    FailAll(Status(StatusCode::kReset, StatusSource::kClient, "the client does not take its responses"));
    Close();
    return false;
  }
  return true;
}

// Those that still may not send stand before those that were just told, and will be asked first the next time.
void Http2Server::Wake() {
  if (waiting_.empty()) return;
  std::vector<Http2Stream*> asked;
  asked.swap(waiting_);
  std::vector<Http2Stream*> left;
  for (Http2Stream* stream : asked) {
    if (stream->handler_ == nullptr) {
      stream->waiting_ = false;
    } else if (stream->blocked()) {
      left.push_back(stream);
    } else {
      stream->waiting_ = false;
      stream->handler_->OnStreamWritable();
    }
  }
  waiting_.insert(waiting_.begin(), left.begin(), left.end());
}

void Http2Server::OnWritable() { EndTurn(); }

void Http2Server::Update() {
  const uint64_t now = context_->loop->now_ns();
  const TimeoutConfig& timeout = config().timeout;
  if (connection_->congested()) {
    Watch(Watched::kReader, now + MsToNs(timeout.request_ms));
  } else if (codec_->in_head()) {
    if (head_ != codec_->heads()) watched_ = Watched::kNothing;
    head_ = codec_->heads();
    Watch(Watched::kHead, now + MsToNs(timeout.header_ms));
  } else if (leaving_ == Leaving::kAnnounced) {
    Watch(Watched::kLeaving, now + MsToNs(kAnnounceMs));
  } else if (streams_.empty()) {
    Watch(Watched::kIdle, now + MsToNs(timeout.idle_ms));
  } else {
    Watch(Watched::kNothing, 0);
  }
}

void Http2Server::Watch(Watched what, uint64_t deadline_ns) {
  if (what == watched_ && connection_->has_deadline()) return;
  watched_ = what;
  progress_ = connection_->sent_bytes();
  if (what == Watched::kNothing) {
    connection_->CancelDeadline();
  } else {
    connection_->SetDeadline(deadline_ns);
  }
}

void Http2Server::OnDeadline() {
  if (state_ == State::kLingering) return Close();
  if (state_ != State::kOpen) return;
  const Watched what = watched_;
  watched_ = Watched::kNothing;
  switch (what) {
    case Watched::kNothing:
      break;
    case Watched::kReader:
      if (progress_ != connection_->sent_bytes()) break;
      FailAll(Status(StatusCode::kTimeout, StatusSource::kClient, "the client does not read"));
      Close();
      return;
    case Watched::kHead:
      codec_->Terminate(Http2Error::kEnhanceYourCalm);
      break;
    case Watched::kIdle:
      codec_->Terminate(Http2Error::kNone);
      break;
    case Watched::kLeaving:
      OnPingAnswered();
      break;
  }
  EndTurn();
}

void Http2Server::Drain() {
  if (state_ != State::kOpen || leaving_ != Leaving::kNo) return;
  leaving_ = Leaving::kAnnounced;
  codec_->AnnounceGoAway();
  FlushSoon();
}

void Http2Server::FailAll(const Status& status) {
  for (size_t i = 0; i < streams_.size(); ++i) streams_[i]->Fail(status);
}

void Http2Server::Abort() {
  if (state_ == State::kClosed) return;
  FailAll(Status(StatusCode::kUnavailable, StatusSource::kProxy, "the drain's deadline passed"));
  Close();
}

void Http2Server::CloseGracefully() {
  if (!codec_->failure().empty() && !told_) {
    std::array<char, PeerAddress::kMaxText> text;
    Log(LogLevel::kInfo, "client {}: HTTP/2 connection closed: {}", client_.peer.Text(&text), codec_->failure());
  }
  FailAll(Status(StatusCode::kProtocol, StatusSource::kClient, "the connection is over"));
  // To close with bytes unread would be a reset that can overtake what was sent.
  state_ = State::kLingering;
  connection_->ShutdownWrite();
  connection_->SetDeadline(context_->loop->now_ns() + MsToNs(kLingerMs));
  if (connection_->readable()) connection_->ReadSoon();
}

void Http2Server::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  turn_end_.Cancel();
  work_.clear();
  waiting_.clear();
  for (auto& stream : streams_) {
    stream->Clear();
    context_->http2_streams.Give(std::move(stream));
  }
  streams_.clear();
  Connection::Retire(std::move(connection_));
  context_->owner->OnServerClosed(this);
}

}  // namespace ub
