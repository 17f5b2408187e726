#include "http/framing.h"

#include <limits>
#include <string_view>

#include "http/char_class.h"

namespace ub {
namespace {

constexpr uint64_t kMaxContentLength = std::numeric_limits<int64_t>::max();

// 1*DIGIT up to 2^63-1: no sign, no list, no blanks.
bool ParseLength(std::string_view text, uint64_t* length) {
  uint64_t value = 0;
  for (char c : text) {
    if (!IsChar(c, kCharDigit)) {
      return false;
    }
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (kMaxContentLength - digit) / 10) {
      return false;
    }
    value = value * 10 + digit;
  }
  *length = value;
  return !text.empty();
}

void NoteConnection(std::string_view list, FieldFacts* facts) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view option = TrimBlanks(list.substr(0, comma));
    if (EqualsIgnoreCase(option, "close")) {
      facts->close = true;
    } else if (EqualsIgnoreCase(option, "keep-alive")) {
      facts->keep_alive = true;
    } else if (EqualsIgnoreCase(option, "upgrade")) {
      facts->connection_upgrade = true;
    }
    if (comma == std::string_view::npos) {
      break;
    }
    list.remove_prefix(comma + 1);
  }
}

// RFC 9112 section 6.1 and 6.3: one field, one coding, HTTP/1.1.
void NoteTransferEncoding(const HeaderField& field, int minor_version, FieldFacts* facts) {
  if (minor_version == 0) {
    facts->Refuse("Transfer-Encoding in HTTP/1.0");
  } else if (facts->chunked) {
    facts->Refuse("Transfer-Encoding repeated");
  } else if (!EqualsIgnoreCase(field.value, "chunked")) {
    facts->Refuse("transfer coding other than chunked");
  }
  facts->chunked = true;
}

void NoteLength(const HeaderField& field, FieldFacts* facts) {
  if (facts->has_length) {
    facts->Refuse("Content-Length repeated");
  } else if (!ParseLength(field.value, &facts->length)) {
    facts->Refuse("malformed Content-Length");
  }
  facts->has_length = true;
}

}  // namespace

void NoteFields(const HeaderList& headers, int minor_version, FieldFacts* facts) {
  for (const HeaderField& field : headers) {
    switch (field.id) {
      case HeaderId::kHost:
        if (facts->host != nullptr) {
          facts->Refuse("Host repeated");
        }
        facts->host = &field;
        break;
      case HeaderId::kContentLength:
        NoteLength(field, facts);
        break;
      case HeaderId::kTransferEncoding:
        NoteTransferEncoding(field, minor_version, facts);
        break;
      case HeaderId::kConnection:
        NoteConnection(field.value, facts);
        break;
      case HeaderId::kExpect:
        facts->expect = &field;
        break;
      case HeaderId::kTe:
        facts->te_trailers = facts->te_trailers || ListHasToken(field.value, "trailers");
        break;
      case HeaderId::kUpgrade:
        // h2c would have the backend speak HTTP/2 through a tunnel that nothing here understands;
        // RFC 9113 dropped it.
        facts->upgrade_field = facts->upgrade_field || !field.value.empty();
        facts->h2c = facts->h2c || ListHasToken(field.value, "h2c");
        break;
      default:
        break;
    }
  }
  if (facts->chunked && facts->has_length) {
    facts->Refuse("Transfer-Encoding with Content-Length");
  }
}

bool KeepsAlive(int minor_version, const FieldFacts& facts) {
  return !facts.close && (minor_version == 1 || facts.keep_alive);
}

}  // namespace ub
