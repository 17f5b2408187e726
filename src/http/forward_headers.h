// What a proxy changes in a head on its way (RFC 9110 section 7.6, RFC 9112): hop-by-hop fields go, framing is written
// anew, the backend is told who the client is.
//
// Pure functions from a parsed head to bytes. Worker process; no allocation beyond the buffer that is written to.
#ifndef UB_HTTP_FORWARD_HEADERS_H_
#define UB_HTTP_FORWARD_HEADERS_H_

#include <memory>
#include <string>
#include <string_view>

#include "core/config.h"
#include "event/address.h"
#include "event/buffer.h"
#include "http/client_address.h"
#include "http/message.h"

namespace ub {

// Who sent a request, and how it came in.
struct ClientInfo {
  PeerAddress peer;
  bool tls = false;
  std::unique_ptr<const std::string> certificate_fields;  // header lines (http/client_certificate.h); null: none asked for
};

// Whether the request came by TLS: here, or where a trusted peer says so.
bool CameSecure(const ClientInfo& peer, const ClientAddress& client, const HeaderList& headers);

// Fields that concern one connection only and never travel on: the fixed list, and whatever Connection names.
bool IsHopByHop(const HeaderField& field);

// Removes them, fields that Connection lists included. Fields that the proxy itself relies on cannot be removed by
// listing them. `keep_upgrade`: the Upgrade field stays, for an upgrade is passed on.
void RemoveHopByHop(HeaderList* headers, bool keep_upgrade = false);

// What Via says of a message that came in this version (RequestHead::minor_version).
std::string_view ViaElement(uint8_t minor_version);

// How the head that is written announces its body.
struct Framing {
  BodyKind kind = BodyKind::kNone;
  uint64_t content_length = 0;  // with kLength
};

// An OPTIONS that must not go further (RFC 9110 section 7.6.2): it is for us to answer.
bool EndsHere(const RequestHead& head);

// The request head as a backend gets it: always HTTP/1.1. `head` loses its hop-by-hop fields, but where `head->upgrade` the
// upgrade is asked for. `fallback_host` is sent where an HTTP/1.0 client named none. X-Forwarded-* of a trusted peer are
// extended, those of any other replaced. Max-Forwards of OPTIONS counts down.
void WriteForwardedRequest(RequestHead* head, const ClientInfo& peer, const ClientAddress& client,
                           const ForwardedConfig& settings, std::string_view request_id, std::string_view fallback_host,
                           Buffer* out);

// kUpgrade: the head is a 101, and its Upgrade field stays.
enum class ConnectionOption : uint8_t { kNone, kClose, kKeepAlive, kUpgrade };

// The response head as a client gets it. `head` loses its hop-by-hop fields. `request_id` empty: none is sent.
// `via`: add Via, with the version that the backend spoke. `hsts`: a line that takes the place of what the backend says of
// Strict-Transport-Security; empty: that stays.
void WriteForwardedResponse(ResponseHead* head, const Framing& framing, ConnectionOption connection,
                            std::string_view request_id, bool via, Buffer* out, std::string_view hsts = {});

// True where a 101 with the fields `answer` switches to what was offered: it names protocols, and each of them stands in
// `offered`, a list of protocols as in Upgrade (RFC 9110 section 7.8).
bool SwitchesTo(const HeaderList& answer, std::string_view offered);

}  // namespace ub

#endif  // UB_HTTP_FORWARD_HEADERS_H_
