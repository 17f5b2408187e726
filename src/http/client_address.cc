#include "http/client_address.h"

#include "http/char_class.h"

namespace ub {

ClientAddress FindClient(const PeerAddress& peer, const HeaderList& headers, const NetworkSet& trust) {
  ClientAddress client{peer, false};
  if (trust.empty() || !trust.Contains(peer.bytes())) return client;
  client.peer_trusted = true;
  // Several fields are one list (RFC 9110 section 5.3), so the last element is the last field's.
  for (auto field = headers.rbegin(); field != headers.rend(); ++field) {
    if (field->id != HeaderId::kXForwardedFor) continue;
    std::string_view list = field->value;
    while (!list.empty()) {
      const size_t comma = list.rfind(',');
      const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
      const std::string_view element = TrimBlanks(list.substr(begin));
      list = list.substr(0, comma == std::string_view::npos ? 0 : comma);
      if (element.empty()) continue;
      const std::optional<PeerAddress> address = PeerAddress::Parse(element);
      if (!address) return client;
      client.address = *address;
      if (!trust.Contains(address->bytes())) return client;
    }
  }
  return client;
}

}  // namespace ub
