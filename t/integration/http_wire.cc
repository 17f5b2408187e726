#include "http_wire.h"

#include <cctype>
#include <charconv>

namespace ub::itest {

namespace {

constexpr size_t kMostHead = 256 * 1024;

bool IsTokenChar(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  for (const char c : text) {
    if (!IsTokenChar(c)) return false;
  }
  return !text.empty();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "Name: value" without its line end.
bool ParseField(std::string_view line, Fields* fields) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return false;
  const std::string_view value = Trim(line.substr(colon + 1));
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return false;
  }
  fields->emplace_back(line.substr(0, colon), value);
  return true;
}

// The lines after the first; `head` ends with the blank line.
bool ParseFields(std::string_view head, HttpMessage* message) {
  size_t at = head.find("\r\n");
  message->start_line = std::string(head.substr(0, at));
  message->raw_head = std::string(head);
  at += 2;
  while (true) {
    const size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    if (line.empty()) return end + 2 == head.size();
    if (!ParseField(line, &message->fields)) return false;
    at = end + 2;
  }
}

template <class Number>
bool ParseNumber(std::string_view text, int base, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() &&
         text[0] != '-';
}

// Fills framing and length; false where the fields contradict each other.
bool ParseFraming(HttpMessage* message) {
  const auto lengths = message->Values("Content-Length");
  const auto codings = message->Values("Transfer-Encoding");
  if (lengths.size() > 1 || codings.size() > 1 || (!lengths.empty() && !codings.empty())) {
    return false;
  }
  if (!lengths.empty()) {
    message->framing = Framing::kLength;
    return ParseNumber(lengths[0], 10, &message->length);
  }
  if (!codings.empty()) {
    message->framing = Framing::kChunked;
    return message->minor == 1 && SameText(codings[0], "chunked");
  }
  return true;
}

}  // namespace

const char* Name(ReadResult result) {
  switch (result) {
    case ReadResult::kOk:
      return "ok";
    case ReadResult::kClosed:
      return "closed";
    case ReadResult::kTruncated:
      return "truncated";
    case ReadResult::kReset:
      return "reset";
    case ReadResult::kTimeout:
      return "timeout";
    case ReadResult::kMalformed:
      return "malformed";
  }
  return "?";
}

bool SameText(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (tolower(static_cast<unsigned char>(a[i])) != tolower(static_cast<unsigned char>(b[i]))) {
      return false;
    }
  }
  return true;
}

std::vector<std::string> HttpMessage::Values(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [field, value] : fields) {
    if (SameText(field, name)) values.push_back(value);
  }
  return values;
}

std::string HttpMessage::Value(std::string_view name) const {
  const auto values = Values(name);
  return values.empty() ? "" : values[0];
}

std::string HttpMessage::Trailer(std::string_view name) const {
  for (const auto& [field, value] : trailers) {
    if (SameText(field, name)) return value;
  }
  return "";
}

bool HttpMessage::HasToken(std::string_view name, std::string_view token) const {
  for (const auto& value : Values(name)) {
    for (const auto& part : Split(value, ',')) {
      if (SameText(Trim(part), token)) return true;
    }
  }
  return false;
}

std::string Response::Outcome() const {
  return ok() ? std::to_string(status)
              : std::string(Name(result)) + " after status " + std::to_string(status);
}

ReadResult MessageReader::Fill() {
  switch (socket_->Receive(&buffer_, 64 * 1024, limit_)) {
    case Io::kOk:
      return ReadResult::kOk;
    case Io::kEnd:
      return ReadResult::kTruncated;
    case Io::kTimeout:
      return ReadResult::kTimeout;
    default:
      return ReadResult::kReset;
  }
}

ReadResult MessageReader::ReadHeadText(std::string* head) {
  size_t looked = 0;
  while (true) {
    const size_t end = buffer_.find("\r\n\r\n", looked);
    if (end != std::string::npos) {
      *head = buffer_.substr(0, end + 4);
      buffer_.erase(0, end + 4);
      return ReadResult::kOk;
    }
    if (buffer_.size() > kMostHead) return ReadResult::kMalformed;
    looked = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
    const ReadResult filled = Fill();
    if (filled != ReadResult::kOk) {
      return filled == ReadResult::kTruncated && buffer_.empty() ? ReadResult::kClosed : filled;
    }
  }
}

ReadResult MessageReader::ReadRequestHead(Request* request) {
  *request = Request();
  std::string head;
  const ReadResult read = ReadHeadText(&head);
  if (read != ReadResult::kOk) return read;
  if (!ParseFields(head, request)) return ReadResult::kMalformed;
  const auto parts = Split(request->start_line, ' ');
  if (parts.size() != 3 || !IsToken(parts[0]) || parts[1].empty()) return ReadResult::kMalformed;
  if (parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0") return ReadResult::kMalformed;
  request->method = parts[0];
  request->target = parts[1];
  request->minor = parts[2].back() - '0';
  return ParseFraming(request) ? ReadResult::kOk : ReadResult::kMalformed;
}

ReadResult MessageReader::ReadResponseHead(std::string_view method, Response* response) {
  *response = Response();
  std::string head;
  const ReadResult read = ReadHeadText(&head);
  if (read != ReadResult::kOk) return read;
  if (!ParseFields(head, response)) return ReadResult::kMalformed;
  const std::string& line = response->start_line;
  if (line.size() < 13 || line.compare(0, 7, "HTTP/1.") != 0 || line[8] != ' ' || line[12] != ' ' ||
      !ParseNumber(std::string_view(line).substr(9, 3), 10, &response->status) ||
      response->status < 100) {
    return ReadResult::kMalformed;
  }
  response->minor = line[7] - '0';
  response->reason = line.substr(13);
  if (!ParseFraming(response)) return ReadResult::kMalformed;
  if (response->status < 200 || response->status == 204) {
    if (response->framing != Framing::kNone) return ReadResult::kMalformed;
  } else if (method == "HEAD" || response->status == 304) {
    response->framing = Framing::kNone;
  } else if (response->framing == Framing::kNone) {
    response->framing = Framing::kUntilClose;
  }
  return ReadResult::kOk;
}

ReadResult MessageReader::ReadLine(std::string* line) {
  while (true) {
    const size_t end = buffer_.find("\r\n");
    if (end != std::string::npos) {
      *line = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      return ReadResult::kOk;
    }
    if (buffer_.size() > kMostHead) return ReadResult::kMalformed;
    const ReadResult filled = Fill();
    if (filled != ReadResult::kOk) return filled;
  }
}

ReadResult MessageReader::ReadExactly(uint64_t bytes, const BodySink& sink) {
  while (bytes > 0) {
    if (buffer_.empty()) {
      const ReadResult filled = Fill();
      if (filled != ReadResult::kOk) return filled;
    }
    const size_t take = buffer_.size() < bytes ? buffer_.size() : static_cast<size_t>(bytes);
    sink(std::string_view(buffer_).substr(0, take));
    buffer_.erase(0, take);
    bytes -= take;
  }
  return ReadResult::kOk;
}

ReadResult MessageReader::ReadChunks(HttpMessage* message, const BodySink& sink) {
  std::string line;
  while (true) {
    ReadResult read = ReadLine(&line);
    if (read != ReadResult::kOk) return read;
    uint64_t size = 0;
    if (!ParseNumber(std::string_view(line).substr(0, line.find(';')), 16, &size)) {
      return ReadResult::kMalformed;
    }
    if (size == 0) break;
    read = ReadExactly(size, sink);
    if (read != ReadResult::kOk) return read;
    read = ReadLine(&line);
    if (read != ReadResult::kOk) return read;
    if (!line.empty()) return ReadResult::kMalformed;
  }
  while (true) {
    const ReadResult read = ReadLine(&line);
    if (read != ReadResult::kOk) return read;
    if (line.empty()) return ReadResult::kOk;
    if (!ParseField(line, &message->trailers)) return ReadResult::kMalformed;
  }
}

ReadResult MessageReader::ReadBody(HttpMessage* message, const BodySink& sink) {
  const BodySink keep = [message](std::string_view piece) { message->body += piece; };
  const BodySink& to = sink ? sink : keep;
  switch (message->framing) {
    case Framing::kNone:
      return ReadResult::kOk;
    case Framing::kLength:
      return ReadExactly(message->length, to);
    case Framing::kChunked:
      return ReadChunks(message, to);
    case Framing::kUntilClose:
      break;
  }
  while (true) {
    if (!buffer_.empty()) to(buffer_);
    buffer_.clear();
    const ReadResult filled = Fill();
    if (filled == ReadResult::kTruncated) return ReadResult::kOk;
    if (filled != ReadResult::kOk) return filled;
  }
}

Response MessageReader::ReadResponse(std::string_view method, const BodySink& sink) {
  std::vector<Response> interim;
  Response response;
  while (true) {
    response.result = ReadResponseHead(method, &response);
    if (response.result != ReadResult::kOk || response.status == 101 || response.status >= 200) {
      break;
    }
    response.result = ReadResult::kOk;
    interim.push_back(std::move(response));
    response = Response();
  }
  response.interim = std::move(interim);
  if (response.result == ReadResult::kOk) response.result = ReadBody(&response, sink);
  return response;
}

}  // namespace ub::itest
