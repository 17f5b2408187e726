// What the codec tells Http2Client: notes at the streams, acted upon when it is not at work any more.
#include "core/log.h"
#include "http/http2_client.h"
#include "http/http2_clients.h"
#include "http/http2_limits.h"

namespace ub {
namespace {

Http2Attempt* Of(CodecStream* stream) { return static_cast<Http2Attempt*>(stream); }

}  // namespace

void Http2Client::OnHeadBegins(CodecStream* at) {
  Http2Attempt* const attempt = Of(at);
  attempt->any_byte_ = true;
  attempt->list_bytes_ = 0;
  attempt->Progress();
}

bool Http2Client::OnField(CodecStream* at, std::string_view name, std::string_view value) {
  Http2Attempt* const attempt = Of(at);
  const uint64_t limit = config().http2.header_list_bytes;
  attempt->list_bytes_ += name.size() + value.size() + kHttp2FieldOverhead;
  if (attempt->list_bytes_ > limit * kHttp2ListSlack) return OnCheap(Http2Cheap::kHeaderList);
  if (attempt->head_ready_) {
    attempt->trailers_.Add(name, value);
    attempt->bytes_received_ += name.size() + value.size();
  } else if (attempt->list_bytes_ > limit) {
    attempt->response_.TooLarge();
  } else {
    attempt->response_.Add(name, value, Limits());
  }
  return true;
}

void Http2Client::OnHeadEnds(CodecStream* at) {
  Http2Attempt* const attempt = Of(at);
  // Whether it is trailers was decided where it began: a final head is noted once.
  if (attempt->head_ready_ && !attempt->ended_) attempt->wrong_trailers_ = true;
  attempt->NoteHead(attempt->ended_, Limits());
  Mark(attempt);
}

void Http2Client::OnData(CodecStream* at, std::string_view data) {
  Http2Attempt* const attempt = Of(at);
  // The connection's window is no bound of anything: one slow client must not stop the others' responses.
  codec_->Consume(0, data.size());
  if (!attempt->head_ready_ && attempt->wrong_ == nullptr) attempt->wrong_ = "a body before its head";
  attempt->received_ += data.size();
  attempt->bytes_received_ += data.size();
  attempt->in_.Append(data);
  attempt->Progress();
  Mark(attempt);
}

void Http2Client::OnStreamEnds(CodecStream* at) {
  Of(at)->ended_ = true;
  Mark(Of(at));
}

void Http2Client::OnStreamClosed(CodecStream* at, uint32_t error) {
  Of(at)->NoteClosed(error);
  Mark(Of(at));
  FlushSoon();
}

bool Http2Client::OnCheap(Http2Cheap kind) {
  if (watch_.Allow(kind, config().http2, owner_->loop()->now_ns())) return true;
  if (!told_) {
    told_ = true;
    Log(LogLevel::kWarn, "backend {}: HTTP/2 connection closed: too many {}", address_,
        kHttp2CheapNames[static_cast<size_t>(kind)]);
  }
  return false;
}

size_t Http2Client::BodyReady(CodecStream* at, size_t most, bool* end) { return Of(at)->out_.Ready(most, end); }

void Http2Client::TakeBody(CodecStream* at, size_t bytes, Buffer* out) {
  Http2Attempt* const attempt = Of(at);
  attempt->out_.Take(bytes, out);
  attempt->bytes_sent_ += bytes;
  buffered_ -= bytes;
  watch_.Sent(bytes, attempt->out_.bytes.empty());
  attempt->Progress();
}

std::span<const Http2Field> Http2Client::Trailers(CodecStream* at) {
  Http2Fields& fields = owner_->fields();
  fields.Clear();
  fields.AddLines(Of(at)->out_.trailers);
  return fields.fields();
}

}  // namespace ub
