#include "http/http2_request.h"

#include <algorithm>

#include "http/authority.h"
#include "http/char_class.h"
#include "http/char_scan.h"
#include "http/grpc.h"

namespace ub {
namespace {

bool IsAll(std::string_view text, CharClass wanted) {
  const char* const end = text.data() + text.size();
  return SkipChars(text.data(), end, wanted) == end;
}

// A backend of HTTP/1.1 would otherwise not know that there is none (RFC 9110 section 8.6).
bool ExpectsBody(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

void Http2Request::Clear() {
  outcome_ = {ParseVerdict::kComplete, 0, ""};
  seen_ = 0;
  fields_begun_ = host_seen_ = https_ = too_large_ = lengthed_ = grpc_ = false;
  for (std::string* text : {&method_, &authority_, &host_, &path_, &cookies_, &protocol_, &key_, &fields_, &text_}) EmptyText(text);
}

void Http2Request::Refuse(uint16_t status, const char* reason) {
  if (outcome_.verdict != ParseVerdict::kBad) outcome_ = {ParseVerdict::kBad, status, reason};
}

void Http2Request::Add(std::string_view name, std::string_view value, const ParseLimits& limits) {
  if (name.starts_with(':')) return AddPseudo(name, value, limits);
  fields_begun_ = true;
  if (const char* wrong = CheckHttp2Field(name, value); wrong != nullptr) return Refuse(400, wrong);
  const HeaderId id = HeaderIdOf(name);
  if (IsConnectionSpecific(id)) return Refuse(400, "connection-specific field");
  switch (id) {
    case HeaderId::kTe:
      if (!EqualsIgnoreCase(value, "trailers")) return Refuse(400, "TE other than trailers");
      break;  // hop by hop, and said anew where the backend speaks HTTP/2
    case HeaderId::kHost:
      if (host_seen_) return Refuse(400, "Host repeated");
      host_seen_ = true;
      host_ = value;
      return;
    case HeaderId::kContentLength:
      lengthed_ = true;
      break;
    case HeaderId::kContentType:
      grpc_ = grpc_ || IsGrpc(value);
      break;
    case HeaderId::kOther:
      if (websocket() && name == "sec-websocket-key") return;  // it gets one of ours
      break;
    case HeaderId::kCookie:  // in crumbs, for the sake of compression (RFC 9113 section 8.2.3)
      if (cookies_.size() + value.size() > limits.header_bytes) {
        too_large_ = true;
        return;
      }
      if (!cookies_.empty()) cookies_ += "; ";
      cookies_ += value;
      return;
    default:
      break;
  }
  // What is too large already need not be kept.
  if (fields_.size() + name.size() + value.size() > limits.header_bytes) {
    too_large_ = true;
    return;
  }
  fields_.append(name).append(": ").append(value).append("\r\n");
}

void Http2Request::AddPseudo(std::string_view name, std::string_view value, const ParseLimits& limits) {
  if (fields_begun_) return Refuse(400, "pseudo-field behind a field");
  const Pseudo which = name == ":method"      ? kMethod
                       : name == ":scheme"    ? kScheme
                       : name == ":authority" ? kAuthority
                       : name == ":path"      ? kPath
                       : name == ":protocol"  ? kProtocol
                                              : Pseudo{};
  if (which == Pseudo{}) return Refuse(400, "unknown pseudo-field");
  if ((seen_ & which) != 0) return Refuse(400, "pseudo-field repeated");
  seen_ = static_cast<uint8_t>(seen_ | which);
  switch (which) {
    case kMethod:
      if (!IsToken(value)) return Refuse(400, "malformed method");
      method_ = value.substr(0, limits.header_bytes);
      break;
    case kScheme:
      https_ = EqualsIgnoreCase(value, "https");
      if (!https_ && !EqualsIgnoreCase(value, "http")) Refuse(400, "unsupported scheme");
      break;
    case kAuthority:
      if (!IsValidAuthority(value)) return Refuse(400, "malformed :authority");
      authority_ = value;
      break;
    case kPath:
      if (!IsAll(value, kCharTarget)) return Refuse(400, "malformed :path");
      if (value.size() > limits.uri_bytes) return Refuse(414, "URI too long");
      path_ = value;
      break;
    case kProtocol:
      if (!IsToken(value)) return Refuse(400, "malformed :protocol");
      protocol_ = value.substr(0, limits.header_bytes);
      break;
  }
}

// RFC 9113 section 8.5, RFC 8441 section 4.
void Http2Request::CheckConnect() {
  if ((seen_ & kProtocol) == 0) {
    const bool well_formed = (seen_ & (kScheme | kPath)) == 0 && (seen_ & kAuthority) != 0;
    Refuse(well_formed ? 405 : 400, well_formed ? "method not allowed" : "malformed CONNECT");
  } else if ((seen_ & kScheme) == 0 || (seen_ & kPath) == 0 || (seen_ & kAuthority) == 0 || lengthed_) {
    Refuse(400, "malformed CONNECT");
  } else if (!EqualsIgnoreCase(protocol_, "websocket")) {
    Refuse(501, "unknown :protocol");
  }
}

// RFC 9113 sections 8.3.1 and 8.5. Which host is meant is said by :authority, or by Host in its place.
bool Http2Request::CheckPseudo() {
  if ((seen_ & kMethod) == 0) {
    Refuse(400, "no :method");
  } else if (method_ == "CONNECT") {
    CheckConnect();
  } else if ((seen_ & kProtocol) != 0) {
    Refuse(400, ":protocol without CONNECT");
  }
  if (outcome_.verdict == ParseVerdict::kBad || (method_ == "CONNECT" && !websocket())) return false;
  if ((seen_ & kScheme) == 0) {
    Refuse(400, "no :scheme");
  } else if ((seen_ & kPath) == 0) {
    Refuse(400, "no :path");
  } else if (!path_.starts_with('/') && !(method_ == "OPTIONS" && path_ == "*")) {
    Refuse(400, "malformed :path");
  } else if ((seen_ & kAuthority) == 0 && !host_seen_) {
    Refuse(400, "neither :authority nor Host");
  } else if (host_seen_ && !IsValidAuthority(host_)) {
    Refuse(400, "malformed Host");
  } else if (host_seen_ && (seen_ & kAuthority) != 0 && !SameAuthority(authority_, host_, https_)) {
    Refuse(400, "Host differs from :authority");
  }
  return outcome_.verdict != ParseVerdict::kBad;
}

ParseOutcome Http2Request::Finish(bool end, const ParseLimits& limits, RequestHead* head) {
  if (!CheckPseudo()) return outcome_;
  if (too_large_) return {ParseVerdict::kBad, 431, "header fields too large"};
  if (websocket() && end) return {ParseVerdict::kBad, 400, "CONNECT whose stream has ended"};
  text_.append(websocket() ? "GET" : method_).append(" ").append(path_).append(" HTTP/1.1\r\nhost: ");
  text_.append((seen_ & kAuthority) != 0 ? authority_ : host_).append("\r\n").append(fields_);
  if (!cookies_.empty()) text_.append("cookie: ").append(cookies_).append("\r\n");
  if (websocket()) {
    text_.append("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ").append(key_).append("\r\n");
  } else if (!end && !lengthed_) {
    text_ += "transfer-encoding: chunked\r\n";
  } else if (end && !lengthed_ && ExpectsBody(method_)) {
    text_ += "content-length: 0\r\n";
  }
  text_ += "\r\n";
  HeadCursor cursor;
  const ParseOutcome outcome = ParseRequestHead(text_, cursor, limits, head);
  if (outcome.verdict == ParseVerdict::kBad) return outcome;
  if (outcome.verdict == ParseVerdict::kIncomplete || head->bytes != text_.size()) {
    return {ParseVerdict::kBad, 400, "ambiguous head"};
  }
  if (end && head->content_length > 0) return {ParseVerdict::kBad, 400, "a body was announced and none came"};
  head->minor_version = kHttp2Version;
  return outcome;
}

std::string Http2Request::FirstLine() const {
  if (method_.empty()) return {};
  return method_ + " " + (method_ == "CONNECT" ? authority_ : path_) + " HTTP/2.0\r\n";
}

}  // namespace ub
