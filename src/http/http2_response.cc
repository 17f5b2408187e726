#include "http/http2_response.h"

#include <array>
#include <charconv>

#include "http/char_class.h"

namespace ub {

void Http2Response::Clear() {
  wrong_ = nullptr;
  status_ = 0;
  fields_begun_ = lengthed_ = false;
  EmptyText(&fields_);
  EmptyText(&text_);
}

void Http2Response::AddStatus(std::string_view value) {
  if (fields_begun_) return Refuse("pseudo-field behind a field");
  if (status_ != 0) return Refuse("pseudo-field repeated");
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), status_);
  if (value.size() != 3 || !IsChar(value[0], kCharDigit) || error != std::errc() || end != value.data() + 3 ||
      status_ < 100 || status_ > 599) {
    status_ = 0;
    Refuse("malformed :status");
  }
}

void Http2Response::Add(std::string_view name, std::string_view value, const ParseLimits& limits) {
  if (name == ":status") return AddStatus(value);
  if (name.starts_with(':')) return Refuse("unknown pseudo-field");
  fields_begun_ = true;
  if (const char* wrong = CheckHttp2Field(name, value); wrong != nullptr) return Refuse(wrong);
  const HeaderId id = HeaderIdOf(name);
  if (IsConnectionSpecific(id)) return Refuse("connection-specific field");
  lengthed_ = lengthed_ || id == HeaderId::kContentLength;
  // What is too large already need not be kept.
  if (fields_.size() + name.size() + value.size() > limits.header_bytes) return TooLarge();
  fields_.append(name).append(": ").append(value).append("\r\n");
}

const char* Http2Response::Finish(bool end, Method request) {
  if (status_ == 0) Refuse("no :status");
  if (status_ == 101) Refuse("status 101, which HTTP/2 does not have");
  if (status_ < 200 && end) Refuse("an interim head that ends the stream");
  if (wrong_ != nullptr) return wrong_;
  std::array<char, 3> digits;
  std::to_chars(digits.data(), digits.data() + digits.size(), status_);
  text_.assign("HTTP/1.1 ").append(digits.data(), digits.size()).append(" \r\n").append(fields_);
  const bool bodiless = status_ < 200 || status_ == 204 || status_ == 304 || request == Method::kHead;
  if (!bodiless && !lengthed_) text_ += "transfer-encoding: chunked\r\n";
  text_ += "\r\n";
  return nullptr;
}

const char* Http2Response::FinishConnect(bool end, std::string_view accept) {
  if (status_ / 100 != 2) return Finish(end, Method::kGet);
  if (wrong_ != nullptr) return wrong_;
  if (lengthed_) return "a length in an answer to CONNECT";
  text_.assign("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ");
  text_.append(accept).append("\r\n").append(fields_).append("\r\n");
  return nullptr;
}

}  // namespace ub
