#include "core/status.h"

#include <cstring>

namespace ub {

Status Status::System(std::string_view what, int error_number) {
  // GNU strerror_r: returns the text, which may or may not lie in the buffer.
  char buffer[128];
  const char* text = strerror_r(error_number, buffer, sizeof(buffer));
  std::string detail(what);
  detail += ": ";
  detail += text;
  return Status(StatusCode::kSystem, StatusSource::kSystem, std::move(detail));
}

std::string Status::ToString() const {
  if (ok()) return "ok";
  std::string text;
  if (source_ != StatusSource::kNone) {
    text += StatusSourceName(source_);
    text += ' ';
  }
  text += StatusCodeName(code_);
  if (!detail_.empty()) {
    text += ": ";
    text += detail_;
  }
  return text;
}

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalid:
      return "invalid";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kExists:
      return "exists";
    case StatusCode::kExhausted:
      return "exhausted";
    case StatusCode::kTooLarge:
      return "too large";
    case StatusCode::kTimeout:
      return "timeout";
    case StatusCode::kRefused:
      return "refused";
    case StatusCode::kReset:
      return "reset";
    case StatusCode::kClosed:
      return "closed";
    case StatusCode::kProtocol:
      return "protocol error";
    case StatusCode::kUnavailable:
      return "unavailable";
    case StatusCode::kPermission:
      return "permission denied";
    case StatusCode::kSystem:
      return "error";
    case StatusCode::kInternal:
      return "internal error";
  }
  return "unknown";
}

std::string_view StatusSourceName(StatusSource source) {
  switch (source) {
    case StatusSource::kNone:
      return "none";
    case StatusSource::kClient:
      return "client";
    case StatusSource::kBackend:
      return "backend";
    case StatusSource::kProxy:
      return "proxy";
    case StatusSource::kConfig:
      return "configuration";
    case StatusSource::kSystem:
      return "system";
  }
  return "unknown";
}

}  // namespace ub
