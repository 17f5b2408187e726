#include "http/http2_fields.h"

#include <algorithm>
#include <charconv>

#include "http/char_class.h"
#include "http/forward_headers.h"
#include "http/http2_message.h"

namespace ub {

std::string_view LineValue(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !EqualsIgnoreCase(line.substr(0, colon), name)) continue;
    return TrimBlanks(line.substr(colon + 1));
  }
  return {};
}

void Http2Fields::Clear() {
  entries_.clear();
  names_.clear();
}

void Http2Fields::Status(uint16_t status) {
  std::to_chars(status_.data(), status_.data() + status_.size(), status);
  Add(":status", {status_.data(), status_.size()});
}

void Http2Fields::Add(std::string_view name, std::string_view value, bool once) {
  entries_.push_back({names_.size(), name.size(), value, once});
  for (const char c : name) names_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

void Http2Fields::Number(std::string_view name, uint64_t value) {
  const char* end = std::to_chars(number_.data(), number_.data() + number_.size(), value).ptr;
  Add(name, {number_.data(), static_cast<size_t>(end - number_.data())});
}

void Http2Fields::AddLines(std::string_view lines) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(line.size() + 2, lines.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    Add(line.substr(0, colon), TrimBlanks(line.substr(colon + 1)));
  }
}

void Http2Fields::AddResponse(ResponseHead* head, std::string_view request_id, bool via, std::string_view hsts) {
  RemoveHopByHop(&head->headers);
  Status(head->status);
  for (const HeaderField& field : head->headers) {
    if (field.id == HeaderId::kContentLength) continue;
    if (field.id == HeaderId::kXRequestId && !request_id.empty()) continue;
    if (!hsts.empty() && EqualsIgnoreCase(field.name, "Strict-Transport-Security")) continue;
    Add(field.name, field.value);
  }
  if (!request_id.empty()) Add("x-request-id", request_id, true);
  AddLines(hsts);
  if (via) Add("via", ViaElement(head->minor_version));
  const bool length = head->body == BodyKind::kLength || (head->body == BodyKind::kNone && head->has_content_length);
  if (length) Number("content-length", head->content_length);
}

void Http2Fields::AddRequest(std::string_view head, bool secure, bool te_trailers, bool connect) {
  const size_t method = head.find(' '), target = head.find(' ', method + 1), host = head.find("\r\nHost: ");
  const size_t authority = host + std::string_view("\r\nHost: ").size(), end = head.find("\r\n", authority);
  Add(":method", connect ? std::string_view("CONNECT") : head.substr(0, method));
  if (connect) Add(":protocol", "websocket");
  Add(":scheme", secure ? "https" : "http");
  Add(":authority", head.substr(authority, end - authority));
  Add(":path", head.substr(method + 1, target - method - 1));
  for (std::string_view lines = head.substr(end + 2); !lines.empty();) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(line.size() + 2, lines.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) break;
    const std::string_view name = line.substr(0, colon);
    const HeaderId id = HeaderIdOf(name);
    if (IsConnectionSpecific(id) || (connect && (id == HeaderId::kContentLength || EqualsIgnoreCase(name, "sec-websocket-key")))) continue;
    Add(name, TrimBlanks(line.substr(colon + 1)), id == HeaderId::kXRequestId);
  }
  if (te_trailers) Add("te", "trailers");
}

std::span<const Http2Field> Http2Fields::fields() {
  fields_.clear();
  for (const Entry& entry : entries_) {
    fields_.push_back({std::string_view(names_).substr(entry.name_at, entry.name_size), entry.value, entry.once});
  }
  return fields_;
}

}  // namespace ub
