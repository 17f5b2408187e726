// Size: the one file that may know libnghttp2.
#include "http/http2_codec.h"

#include <nghttp2/nghttp2.h>

#include <array>
#include <vector>

namespace ub {
namespace {

constexpr size_t kMaxSendHead = 4 * 1024 * 1024;  // a head that a backend sent may be as large as limits.header_bytes
constexpr uint32_t kMaxSettingsEntries = 32;
constexpr size_t kFrameHeadBytes = 9;

// Fields as nghttp2 wants them; memory for one call.
std::vector<nghttp2_nv>& Nva(std::span<const Http2Field> fields) {
  static std::vector<nghttp2_nv> nva;
  nva.clear();
  for (const Http2Field& field : fields) {
    nva.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data())),
                   reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
                   field.value.size(),
                   static_cast<uint8_t>(field.once ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return nva;
}

std::string_view View(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

}  // namespace

// What nghttp2 calls, with the codec as its user data. Every one of them returns success: a failure of a callback leaves
// nghttp2 unusable, and the far side untold.
struct Http2Callbacks {
  static Http2Codec* Codec(void* data) { return static_cast<Http2Codec*>(data); }
  static CodecStream* Stream(nghttp2_session* session, int32_t id) {
    return static_cast<CodecStream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnBeginFrame(nghttp2_session* session, const nghttp2_frame_hd* head, void* data) {
    Http2Codec* codec = Codec(data);
    switch (head->type) {
      case NGHTTP2_PRIORITY: codec->Count(Http2Cheap::kPriority); break;
      case NGHTTP2_RST_STREAM:
        // What a server can reset is bounded by what we asked of it.
        if (!codec->client_ || Stream(session, head->stream_id) == nullptr) codec->Count(Http2Cheap::kReset);
        break;
      case NGHTTP2_SETTINGS: codec->Count(Http2Cheap::kSettings); break;
      case NGHTTP2_PING: codec->Count(Http2Cheap::kPing); break;
      case NGHTTP2_WINDOW_UPDATE: codec->Count(Http2Cheap::kWindowUpdate); break;
      default: break;
    }
    return 0;
  }

  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    Http2Codec* codec = Codec(data);
    if (codec->over_) return 0;
    const int32_t id = frame->hd.stream_id;
    codec->in_head_ = true;
    codec->head_stream_ = id;
    codec->heads_++;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
      if (CodecStream* stream = Stream(session, id); stream != nullptr) codec->events_->OnHeadBegins(stream);
      return 0;
    }
    nghttp2_session_set_stream_user_data(session, id, codec->events_->OnStreamBegins(id));
    // Streams take turns, whatever a client would like to have first.
    const nghttp2_extpri equal{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    nghttp2_session_change_extpri_stream_priority(session, id, &equal, 1);
    return 0;
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* data) {
    Http2Codec* codec = Codec(data);
    if (codec->over_) return 0;
    CodecStream* stream = Stream(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (!codec->events_->OnField(stream, View(name, name_size), View(value, value_size))) {
      codec->Fail(Http2Error::kEnhanceYourCalm, "a head beyond all limits");
    }
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    Http2Codec* codec = Codec(data);
    if (codec->over_) return 0;
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) codec->events_->OnPingAnswered();
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) codec->events_->OnSettings();
        return 0;
      case NGHTTP2_GOAWAY:
        codec->events_->OnGoAway();
        return 0;
      case NGHTTP2_HEADERS:
        codec->in_head_ = false;
        break;
      case NGHTTP2_DATA:
        if (!end && frame->hd.length == frame->data.padlen) codec->Count(Http2Cheap::kEmpty);
        break;
      default:
        return 0;
    }
    CodecStream* stream = Stream(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    // The stream's end first: what the head is to be made into depends on it.
    if (end) codec->events_->OnStreamEnds(stream);
    if (frame->hd.type == NGHTTP2_HEADERS) codec->events_->OnHeadEnds(stream);
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t count, void* data) {
    Http2Codec* codec = Codec(data);
    CodecStream* stream = codec->over_ ? nullptr : Stream(session, id);
    if (stream != nullptr) {
      codec->events_->OnData(stream, View(bytes, count));
    } else {
      nghttp2_session_consume(session, id, count);
    }
    return 0;
  }

  static int OnClosed(nghttp2_session* session, int32_t id, uint32_t error, void* data) {
    Http2Codec* codec = Codec(data);
    if (id == codec->head_stream_) codec->in_head_ = false;  // nothing tells of its end any more
    if (CodecStream* stream = Stream(session, id); stream != nullptr) codec->events_->OnStreamClosed(stream, error);
    return 0;
  }

  static int OnSent(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    Http2Codec* codec = Codec(data);
    const int32_t id = frame->hd.stream_id;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if (codec->client_) return 0;
        // The answer is whole: the rest of what was asked is of no use (RFC 9113 section 8.1).
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && nghttp2_session_get_stream_remote_close(session, id) == 0) {
          CodecStream* stream = Stream(session, id);
          if (stream == nullptr || !codec->events_->KeepsReading(stream)) codec->Reset(id, Http2Error::kNone);
        }
        return 0;
      case NGHTTP2_RST_STREAM:
        // INTERNAL_ERROR is a backend's or our own doing.
        if (!codec->client_ && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
            frame->rst_stream.error_code != NGHTTP2_INTERNAL_ERROR) {
          codec->Count(Http2Cheap::kReset);
        }
        return 0;
      case NGHTTP2_GOAWAY:
        // nghttp2 sends a PING before all else that waits: one that is to follow is made when this has gone.
        if (!codec->client_ && frame->goaway.error_code == NGHTTP2_NO_ERROR && frame->goaway.last_stream_id == INT32_MAX) {
          nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, nullptr);
        }
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && codec->failure_.empty()) {
          codec->failure_ = View(frame->goaway.opaque_data, frame->goaway.opaque_data_len);
        }
        return 0;
      default:
        return 0;
    }
  }

  // A head that cannot be sent must not leave its stream waiting for ever. A request that could not was not seen by anybody.
  static int OnNotSent(nghttp2_session* session, const nghttp2_frame* frame, int, void* data) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    Http2Codec* codec = Codec(data);
    const int32_t id = frame->hd.stream_id;
    CodecStream* stream = Stream(session, id);
    if (stream == nullptr) return 0;  // it is because the far side has reset it
    if (codec->client_ && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      codec->Forget(id);
      codec->events_->OnStreamClosed(stream, NGHTTP2_REFUSED_STREAM);
    } else {
      codec->Reset(id, Http2Error::kInternal);
    }
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t id, uint8_t*, size_t most, uint32_t* flags,
                          nghttp2_data_source*, void* data) {
    Http2Events* events = Codec(data)->events_;
    CodecStream* stream = Stream(session, id);
    if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;
    bool end = false;
    const size_t count = events->BodyReady(stream, most, &end);
    if (count == 0 && !end) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!end) return static_cast<ssize_t>(count);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (const Http2Error error = events->ErrorAtEnd(stream); error != Http2Error::kNone) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      Codec(data)->Reset(id, error);
    } else if (const auto trailers = events->Trailers(stream); !trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv>& nva = Nva(trailers);
      nghttp2_submit_trailer(session, id, nva.data(), nva.size());
    }
    return static_cast<ssize_t>(count);
  }

  static int SendBody(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* frame_head, size_t count,
                      nghttp2_data_source*, void* data) {
    Http2Codec* codec = Codec(data);
    CodecStream* stream = Stream(session, frame->hd.stream_id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // forgotten, and its reset is on the way
    if (codec->out_->size() >= codec->enough_) return NGHTTP2_ERR_WOULDBLOCK;
    codec->out_->Append(View(frame_head, kFrameHeadBytes));
    codec->events_->TakeBody(stream, count, codec->out_);
    return 0;
  }

  static const nghttp2_session_callbacks* All() {
    static nghttp2_session_callbacks* const all = [] {
      nghttp2_session_callbacks* made = nullptr;
      if (nghttp2_session_callbacks_new(&made) != 0) return made;
      nghttp2_session_callbacks_set_on_begin_frame_callback(made, OnBeginFrame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(made, OnBeginHeaders);
      nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, OnClosed);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, OnSent);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(made, OnNotSent);
      nghttp2_session_callbacks_set_send_data_callback(made, SendBody);
      return made;
    }();
    return all;
  }
};

namespace {

// What both sides want of the library; null without memory.
nghttp2_option* Options(const Http2Settings& settings) {
  nghttp2_option* option = nullptr;
  if (Http2Callbacks::All() == nullptr || nghttp2_option_new(&option) != 0) return nullptr;
  // Windows open when sessions have taken what came, and messages are looked at by http2_request and http2_response alone.
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, kMaxSendHead);
  nghttp2_option_set_max_settings(option, kMaxSettingsEntries);
  nghttp2_option_set_max_continuations(option, settings.max_continuations);
  // Counted by OnCheap, with limits that can be set: resets, and the PINGs and SETTINGS that we answer.
  nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
  nghttp2_option_set_max_outbound_ack(option, SIZE_MAX);
  return option;
}

bool Introduce(nghttp2_session* session, std::span<const nghttp2_settings_entry> ours, const Http2Settings& settings) {
  const auto window = static_cast<int32_t>(settings.connection_window);
  return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, ours.data(), ours.size()) == 0 &&
         nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, window) == 0;
}

}  // namespace

std::unique_ptr<Http2Codec> Http2Codec::Server(const Http2Settings& settings, Http2Events* events) {
  std::unique_ptr<Http2Codec> codec(new Http2Codec(events, false));
  nghttp2_option* const option = Options(settings);
  if (option == nullptr) return nullptr;
  const int made = nghttp2_session_server_new2(&codec->session_, Http2Callbacks::All(), codec.get(), option);
  nghttp2_option_del(option);
  const std::array<nghttp2_settings_entry, 5> ours = {
      {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.max_concurrent_streams},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.initial_window},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.max_header_list},
       {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
       {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}};
  const size_t count = ours.size() - (settings.connect_protocol ? 0 : 1);
  return made == 0 && Introduce(codec->session_, std::span(ours).first(count), settings) ? std::move(codec) : nullptr;
}

std::unique_ptr<Http2Codec> Http2Codec::Client(const Http2Settings& settings, Http2Events* events) {
  std::unique_ptr<Http2Codec> codec(new Http2Codec(events, true));
  nghttp2_option* const option = Options(settings);
  if (option == nullptr) return nullptr;
  const int made = nghttp2_session_client_new2(&codec->session_, Http2Callbacks::All(), codec.get(), option);
  nghttp2_option_del(option);
  const std::array<nghttp2_settings_entry, 4> ours = {{{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                                       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.initial_window},
                                                       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.max_header_list},
                                                       {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}}};
  return made == 0 && Introduce(codec->session_, ours, settings) ? std::move(codec) : nullptr;
}

Http2Codec::~Http2Codec() { nghttp2_session_del(session_); }

void Http2Codec::Count(Http2Cheap kind) {
  if (!over_ && !events_->OnCheap(kind)) Fail(Http2Error::kEnhanceYourCalm, "a flood");
}

void Http2Codec::Fail(Http2Error error, std::string why) {
  over_ = true;
  failure_ = std::move(why);
  Terminate(error);
}

bool Http2Codec::Receive(std::string_view bytes) {
  if (over_) return false;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0) return !over_;
  const auto error = static_cast<int>(taken);
  if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) events_->OnCheap(Http2Cheap::kContinuation);
  Break(error);
  return false;
}

void Http2Codec::Break(int error) {
  failure_ = nghttp2_strerror(error);
  over_ = broken_ = true;
  switch (error) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC: goodbye_ = Http2Error::kProtocol; break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: goodbye_ = Http2Error::kEnhanceYourCalm; break;
    default: goodbye_ = Http2Error::kInternal; break;
  }
}

void Http2Codec::SayGoodbye(Buffer* out) {
  if (said_) return;
  said_ = true;
  // GOAWAY: 8 bytes of payload, the last stream that was looked at, the error. A server has begun none.
  std::array<char, kFrameHeadBytes + 8> frame{0, 0, 8, NGHTTP2_GOAWAY};
  const auto last = client_ ? 0 : static_cast<uint32_t>(nghttp2_session_get_last_proc_stream_id(session_));
  char* at = frame.data() + kFrameHeadBytes;
  for (int shift = 24; shift >= 0; shift -= 8) *at++ = static_cast<char>(last >> shift);
  frame.back() = static_cast<char>(goodbye_);
  out->Append(std::string_view(frame.data(), frame.size()));
}

void Http2Codec::Produce(size_t enough, Buffer* out) {
  out_ = out;
  enough_ = enough;
  while (!broken_ && out->size() < enough) {
    const uint8_t* bytes = nullptr;
    const size_t before = out->size();
    const ssize_t count = nghttp2_session_mem_send(session_, &bytes);
    if (count < 0) {
      Break(static_cast<int>(count));
      break;
    }
    out->Append(View(bytes, static_cast<size_t>(count)));
    if (out->size() == before) break;
  }
  out_ = nullptr;
  if (broken_) SayGoodbye(out);
}

size_t Http2Codec::queued() const { return broken_ ? 0 : nghttp2_session_get_outbound_queue_size(session_); }

bool Http2Codec::done() const {
  if (broken_) return said_;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Http2Codec::SendInterim(int32_t stream, std::span<const Http2Field> fields) {
  if (broken_) return;
  const std::vector<nghttp2_nv>& nva = Nva(fields);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream, nullptr, nva.data(), nva.size(), nullptr);
}

void Http2Codec::SendHead(int32_t stream, std::span<const Http2Field> fields, bool body) {
  if (broken_) return;
  const std::vector<nghttp2_nv>& nva = Nva(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = Http2Callbacks::ReadBody;
  nghttp2_submit_response(session_, stream, nva.data(), nva.size(), body ? &provider : nullptr);
}

void Http2Codec::ResumeBody(int32_t stream) {
  if (!broken_) nghttp2_session_resume_data(session_, stream);
}

void Http2Codec::Reset(int32_t stream, Http2Error error) {
  if (!broken_) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, static_cast<uint32_t>(error));
}

void Http2Codec::Consume(int32_t stream, size_t bytes) {
  if (broken_ || bytes == 0) return;
  if (stream != 0) {
    nghttp2_session_consume(session_, stream, bytes);
  } else {
    nghttp2_session_consume_connection(session_, bytes);
  }
}

void Http2Codec::ConsumeStream(int32_t stream, size_t bytes) {
  if (!broken_ && bytes > 0) nghttp2_session_consume_stream(session_, stream, bytes);
}

int32_t Http2Codec::SendRequest(CodecStream* stream, std::span<const Http2Field> fields, bool body) {
  if (broken_ || over_) return -1;
  const std::vector<nghttp2_nv>& nva = Nva(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = Http2Callbacks::ReadBody;
  return nghttp2_submit_request(session_, nullptr, nva.data(), nva.size(), body ? &provider : nullptr, stream);
}

void Http2Codec::Forget(int32_t stream) {
  if (!broken_) nghttp2_session_set_stream_user_data(session_, stream, nullptr);
}

uint32_t Http2Codec::peer_streams() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Http2Codec::peer_connects() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void Http2Codec::AnnounceGoAway() {
  if (!broken_) nghttp2_submit_shutdown_notice(session_);
}

void Http2Codec::GoAway() {
  if (broken_) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void Http2Codec::Terminate(Http2Error error) {
  if (!broken_) nghttp2_session_terminate_session(session_, static_cast<uint32_t>(error));
}

}  // namespace ub
