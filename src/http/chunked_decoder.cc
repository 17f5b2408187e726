#include "http/chunked_decoder.h"

#include <algorithm>
#include <limits>

#include "http/char_class.h"
#include "http/char_scan.h"
#include "http/client_certificate.h"
#include "http/headers.h"

namespace ub {
namespace {

constexpr uint8_t kMaxSizeDigits = 16;
constexpr uint64_t kMaxChunk = std::numeric_limits<int64_t>::max();

// Fields that frame or route a message: a trailer that brings one is an attack, not an oversight.
constexpr std::string_view kRefused[] = {"Content-Length", "Transfer-Encoding", "Host"};

// Fields that must be known before the body, authenticate, or speak to the next hop alone (RFC 9110
// section 6.5.1): a recipient that merged them into the head would be misled, so they are not
// passed on.
constexpr std::string_view kDropped[] = {
    "Age",
    "Alt-Svc",
    "Authentication-Info",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Expires",
    "Forwarded",
    "HTTP2-Settings",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Location",
    "Max-Forwards",
    "Origin",
    "Pragma",
    "Range",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Retry-After",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Upgrade",
    "Vary",
    "Via",
    "Warning",
    "WWW-Authenticate",
    "X-Real-IP",
    "X-Request-ID",
};
constexpr std::string_view kDroppedPrefix = "X-Forwarded-";

bool IsRefused(std::string_view name) {
  return std::any_of(std::begin(kRefused), std::end(kRefused),
                     [name](std::string_view known) { return EqualsIgnoreCase(name, known); });
}

bool IsDropped(std::string_view name) {
  return EqualsIgnoreCase(name.substr(0, kDroppedPrefix.size()), kDroppedPrefix) ||
         std::any_of(std::begin(kDropped), std::end(kDropped),
                     [name](std::string_view known) { return EqualsIgnoreCase(name, known); });
}

}  // namespace

TrailerVerdict JudgeTrailer(std::string_view name) {
  if (IsRefused(name)) return TrailerVerdict::kRefused;
  // What a backend is told of a client's certificate is ours to say, in the head or nowhere.
  return IsDropped(name) || IsClientCertificateField(name) ? TrailerVerdict::kDropped : TrailerVerdict::kPassed;
}

ChunkedDecoder::Step ChunkedDecoder::Fail(const char* why) {
  state_ = State::kError;
  error_ = why;
  return Step::kBad;
}

ChunkedDecoder::Step ChunkedDecoder::Next(std::string_view* input, std::string_view* data) {
  while (!input->empty() && state_ != State::kEnd && state_ != State::kError) {
    const char c = input->front();
    switch (state_) {
      case State::kSize:
        if (!TakeSize(input)) {
          return Fail(error_);
        }
        continue;
      case State::kExtension:
        if (!TakeExtension(input)) {
          return Fail(error_);
        }
        continue;
      case State::kTrailer:
        if (!TakeTrailer(input)) {
          return Fail(error_);
        }
        continue;
      case State::kBody: {
        const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, input->size()));
        *data = input->substr(0, take);
        input->remove_prefix(take);
        left_ -= take;
        state_ = left_ == 0 ? State::kBodyCr : State::kBody;
        return Step::kData;
      }
      case State::kBodyCr:
        if (c != '\r') {
          return Fail("chunk longer than its size");
        }
        state_ = State::kBodyLf;
        break;
      default:  // behind a CR
        if (c != '\n') {
          return Fail("bare CR in the chunked framing");
        }
        if (state_ == State::kSizeLf) {
          state_ = left_ == 0 ? State::kTrailer : State::kBody;
        } else if (state_ == State::kBodyLf) {
          digits_ = 0;
          state_ = State::kSize;
        } else if (!EndTrailerLine()) {
          return Fail(error_);
        }
    }
    input->remove_prefix(1);
  }
  if (state_ == State::kError) {
    return Step::kBad;
  }
  return state_ == State::kEnd ? Step::kDone : Step::kMore;
}

bool ChunkedDecoder::TakeSize(std::string_view* input) {
  for (; !input->empty(); input->remove_prefix(1)) {
    const char c = input->front();
    if (IsChar(c, kCharHex)) {
      if (digits_ == kMaxSizeDigits) {
        return Refuse("chunk size too long");
      }
      left_ = left_ << 4 | HexValue(c);
      ++digits_;
      continue;
    }
    if (digits_ == 0 || (c != '\r' && c != ';')) {
      return Refuse("malformed chunk size");
    }
    if (left_ > kMaxChunk) {
      return Refuse("chunk size too large");
    }
    extension_bytes_ = 0;
    state_ = c == '\r' ? State::kSizeLf : State::kExtension;
    if (c == '\r') {
      input->remove_prefix(1);
    }
    return true;
  }
  return true;
}

// What an extension says is nobody's business here (RFC 9112 section 7.1.1); how much of it there
// may be is: unbounded, it is traffic that no body limit sees (CVE-2023-39326).
bool ChunkedDecoder::TakeExtension(std::string_view* input) {
  const char* const begin = input->data();
  const uint32_t room =
      std::min(kMaxExtensionBytes - extension_bytes_, kMaxAllExtensionBytes - all_extension_bytes_);
  const size_t most = std::min<size_t>(room, input->size());
  const auto taken = static_cast<uint32_t>(SkipText(begin, begin + most) - begin);
  extension_bytes_ += taken;
  all_extension_bytes_ += taken;
  input->remove_prefix(taken);
  if (input->empty()) {
    return true;
  }
  if (input->front() != '\r') {
    return Refuse(taken == room ? "chunk extensions too long"
                                : "control character in a chunk extension");
  }
  input->remove_prefix(1);
  state_ = State::kSizeLf;
  return true;
}

bool ChunkedDecoder::TakeTrailer(std::string_view* input) {
  const char* const begin = input->data();
  const uint32_t room = kMaxTrailerBytes - trailer_bytes_;
  const size_t most = std::min<size_t>(room, input->size());
  const auto taken = static_cast<uint32_t>(SkipText(begin, begin + most) - begin);
  line_.append(begin, taken);
  trailer_bytes_ += taken;
  input->remove_prefix(taken);
  if (input->empty()) {
    return true;
  }
  if (input->front() != '\r') {
    return Refuse(taken == room ? "trailers too long" : "control character in a trailer");
  }
  input->remove_prefix(1);
  state_ = State::kTrailerLf;
  return true;
}

bool ChunkedDecoder::EndTrailerLine() {
  if (line_.empty()) {
    state_ = State::kEnd;
    return true;
  }
  const std::string_view line = line_;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    return Refuse("malformed trailer");
  }
  const std::string_view name = line.substr(0, colon);
  const TrailerVerdict verdict = JudgeTrailer(name);
  if (verdict == TrailerVerdict::kRefused) {
    return Refuse("forbidden field in the trailers");
  }
  if (verdict == TrailerVerdict::kPassed) {
    trailers_.append(name).append(": ").append(TrimBlanks(line.substr(colon + 1))).append("\r\n");
  }
  line_.clear();
  state_ = State::kTrailer;
  return true;
}

}  // namespace ub
