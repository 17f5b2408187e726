#include "http/http2_message.h"

#include <algorithm>

#include "http/char_class.h"
#include "http/char_scan.h"
#include "http/chunked_decoder.h"

namespace ub {
namespace {

constexpr size_t kKeptText = 4096;  // more than this is given back: one large head must not be held for ever

bool HasUpperCase(std::string_view name) {
  return std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

void EmptyText(std::string* text) {
  text->clear();
  if (text->capacity() > kKeptText) text->shrink_to_fit();
}

const char* CheckHttp2Field(std::string_view name, std::string_view value) {
  if (!IsToken(name)) return "malformed field name";
  if (HasUpperCase(name)) return "upper case in a field name";
  if (SkipText(value.data(), value.data() + value.size()) != value.data() + value.size()) {
    return "control character in a field value";
  }
  if (!value.empty() && (IsBlank(value.front()) || IsBlank(value.back()))) return "blanks around a field value";
  return nullptr;
}

bool IsConnectionSpecific(HeaderId id) {
  return id == HeaderId::kConnection || id == HeaderId::kProxyConnection || id == HeaderId::kKeepAlive ||
         id == HeaderId::kTransferEncoding || id == HeaderId::kUpgrade;
}

void Http2Trailers::Clear() {
  error_ = nullptr;
  bytes_ = 0;
  EmptyText(&text_);
}

void Http2Trailers::Add(std::string_view name, std::string_view value) {
  if (error_ != nullptr) return;
  bytes_ += name.size() + value.size() + 4;
  if (bytes_ > ChunkedDecoder::kMaxTrailerBytes) {
    error_ = "trailers too long";
  } else if (name.starts_with(':')) {
    error_ = "pseudo-field in the trailers";
  } else if (const char* wrong = CheckHttp2Field(name, value); wrong != nullptr) {
    error_ = wrong;
  } else if (IsConnectionSpecific(HeaderIdOf(name))) {
    error_ = "connection-specific field in the trailers";
  } else if (const TrailerVerdict verdict = JudgeTrailer(name); verdict == TrailerVerdict::kRefused) {
    error_ = "forbidden field in the trailers";
  } else if (verdict == TrailerVerdict::kPassed) {
    text_.append(name).append(": ").append(value).append("\r\n");
  }
}

}  // namespace ub
