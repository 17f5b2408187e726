// What the codec tells Http2Server: notes at the streams, acted upon when it is not at work any more.
#include <algorithm>
#include <array>

#include "core/log.h"
#include "http/http2_limits.h"
#include "http/http2_server.h"

namespace ub {
namespace {

const char* NameOf(Http2Cheap kind) {
  switch (kind) {
    case Http2Cheap::kReset: return "streams reset (http2.max_resets)";
    case Http2Cheap::kPing: return "PINGs (http2.max_pings)";
    case Http2Cheap::kSettings: return "SETTINGS (http2.max_settings)";
    case Http2Cheap::kPriority: return "PRIORITY frames (http2.max_priorities)";
    case Http2Cheap::kEmpty: return "empty frames (http2.max_empty_frames)";
    case Http2Cheap::kWindowUpdate: return "WINDOW_UPDATEs (http2.max_window_updates)";
    case Http2Cheap::kContinuation: return "CONTINUATIONs (http2.max_continuations)";
    default: return "header fields (http2.header_list_bytes)";
  }
}

Http2Stream* Of(CodecStream* stream) { return static_cast<Http2Stream*>(stream); }

}  // namespace

CodecStream* Http2Server::OnStreamBegins(int32_t id) {
  std::unique_ptr<Http2Stream> stream = context_->http2_streams.Take(context_);
  stream->Open(this, id);
  stream->place_ = static_cast<uint32_t>(streams_.size());
  bodies_++;
  // Whoever asks is not idle, though all may be over before anybody looks.
  if (watched_ == Watched::kIdle) watched_ = Watched::kNothing;
  Add(context_->counters->http2_streams);
  streams_.push_back(std::move(stream));
  return streams_.back().get();
}

void Http2Server::OnHeadBegins(CodecStream* at) { Of(at)->in_trailers_ = true; }

bool Http2Server::OnField(CodecStream* at, std::string_view name, std::string_view value) {
  Http2Stream* const stream = Of(at);
  const uint64_t limit = config().http2.header_list_bytes;
  stream->list_bytes_ += name.size() + value.size() + kHttp2FieldOverhead;
  if (stream->list_bytes_ > limit * kHttp2ListSlack) return OnCheap(Http2Cheap::kHeaderList);
  if (stream->in_trailers_) {
    stream->trailers_.Add(name, value);
  } else if (stream->list_bytes_ > limit) {
    stream->request_.TooLarge();
  } else {
    stream->request_.Add(name, value, Limits());
  }
  return true;
}

void Http2Server::OnHeadEnds(CodecStream* at) {
  Http2Stream* const stream = Of(at);
  // What is noted before this may be half of the trailers: a read can end within their frame.
  if (stream->head_done_ && !stream->body_ended_) stream->wrong_trailers_ = true;
  if (!stream->head_done_) stream->bodiless_ = stream->body_ended_;
  stream->head_done_ = true;
  Mark(stream);
}

void Http2Server::OnData(CodecStream* at, std::string_view data) {
  Http2Stream* const stream = Of(at);
  stream->received_ += data.size();
  if (stream->begun_ && stream->handler_ == nullptr) {  // it was answered without
    codec_->Consume(stream->id_, data.size());
    return;
  }
  stream->in_.Append(data);
  held_ += data.size();
  if (stream->begun_) stream->AwaitBody(data.size());
  Mark(stream);
}

void Http2Server::OnStreamEnds(CodecStream* at) {
  Http2Stream* const stream = Of(at);
  if (!stream->body_ended_) bodies_--;
  stream->body_ended_ = true;
  Mark(stream);
}

void Http2Server::OnStreamClosed(CodecStream* at, uint32_t error) {
  Http2Stream* const stream = Of(at);
  if (!stream->body_ended_) bodies_--;
  // Our end may not have gone out: then it is a client that leaves, however politely.
  stream->both_ended_ = stream->tunnel_ && stream->body_ended_ && stream->out_.end && error == 0;
  stream->body_ended_ = stream->closed_ = true;
  Mark(stream);
}

bool Http2Server::OnCheap(Http2Cheap kind) {
  if (watch_.Allow(kind, config().http2, context_->loop->now_ns())) return true;
  Add(context_->counters->http2_floods[static_cast<size_t>(kind)]);
  if (!told_) {
    told_ = true;
    std::array<char, PeerAddress::kMaxText> text;
    Log(LogLevel::kNotice, "client {}: too many {}, closed", client_.peer.Text(&text), NameOf(kind));
  }
  return false;
}

void Http2Server::OnPingAnswered() {
  if (leaving_ != Leaving::kAnnounced) return;
  leaving_ = Leaving::kFinal;
  codec_->GoAway();
}

bool Http2Server::KeepsReading(CodecStream* at) { return Of(at)->tunnel_; }

size_t Http2Server::BodyReady(CodecStream* at, size_t most, bool* end) {
  Http2Stream* const stream = Of(at);
  return stream->out_.Ready(most, end);
}

void Http2Server::TakeBody(CodecStream* at, size_t bytes, Buffer* out) {
  Http2Stream* const stream = Of(at);
  stream->out_.Take(bytes, out);
  buffered_ -= bytes;
  watch_.Sent(bytes, stream->out_.bytes.empty());
}

std::span<const Http2Field> Http2Server::Trailers(CodecStream* at) {
  Http2Stream* const stream = Of(at);
  fields_.Clear();
  fields_.AddLines(stream->out_.trailers);
  return fields_.fields();
}

Http2Error Http2Server::ErrorAtEnd(CodecStream* at) { return Of(at)->EndError(); }

}  // namespace ub
