#include "http/request_key.h"

#include <xxhash.h>

#include "http/char_class.h"

namespace ub {

RequestKey::RequestKey(std::string_view text) {
  const size_t colon = text.find(':');
  if (text == "uri") {
    kind_ = Kind::kUri;
  } else if (colon != std::string_view::npos) {
    kind_ = text.starts_with("cookie:") ? Kind::kCookie : Kind::kHeader;
    name_ = text.substr(colon + 1);
  }
}

std::string_view RequestKey::Of(const RequestHead& head, const PeerAddress& client) const {
  std::string_view key;
  switch (kind_) {
    case Kind::kClientIp:
      break;
    case Kind::kHeader:
      if (const HeaderField* field = FindHeader(head.headers, name_)) key = field->value;
      break;
    case Kind::kCookie:
      key = FindCookie(head.headers, name_);
      break;
    case Kind::kUri:
      key = head.target;
      break;
  }
  return key.empty() ? client.bytes() : key;
}

uint64_t RequestKey::Hash(const RequestHead& head, const PeerAddress& client) const {
  const std::string_view key = Of(head, client);
  return XXH3_64bits(key.data(), key.size());
}

std::string_view FindCookie(const HeaderList& headers, std::string_view name) {
  for (const HeaderField& field : headers) {
    if (field.id != HeaderId::kCookie) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const size_t end = list.find(';');
      const std::string_view pair = TrimBlanks(list.substr(0, end));
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
        return pair.substr(name.size() + 1);
      }
      if (end == std::string_view::npos) break;
      list.remove_prefix(end + 1);
    }
  }
  return {};
}

}  // namespace ub
