#include "http/forward_headers.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "core/config_text.h"
#include "http/authority.h"
#include "http/char_class.h"
#include "http/client_certificate.h"

namespace ub {
namespace {

// Appends to a reserved run of bytes; the room was reckoned before.
class Pen {
 public:
  explicit Pen(char* at) : start_(at), at_(at) {}
  void Put(std::string_view text) {
    if (text.empty()) return;  // memcpy takes no null pointer, not even for nothing
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void Field(std::string_view name, std::string_view value) {
    Put(name);
    Put(": ");
    Put(value);
    Put("\r\n");
  }
  void Number(uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
  size_t written() const { return static_cast<size_t>(at_ - start_); }

 private:
  char* const start_;
  char* at_;
};

// Writes fields; those whose lines follow one another in the bytes that they came in, in one go.
class FieldCopier {
 public:
  explicit FieldCopier(Pen* pen) : pen_(pen) {}
  ~FieldCopier() { Flush(); }
  void Put(const HeaderField& field) {
    if (!field.verbatim) {
      Flush();
      pen_->Field(field.name, field.value);
      return;
    }
    if (field.name.data() != end_) {
      Flush();
      begin_ = field.name.data();
    }
    end_ = field.value.data() + field.value.size() + 2;
  }

  void PutNumber(std::string_view name, uint64_t value) {
    Flush();
    pen_->Put(name);
    pen_->Put(": ");
    pen_->Number(value);
    pen_->Put("\r\n");
  }

 private:
  void Flush() {
    pen_->Put({begin_, static_cast<size_t>(end_ - begin_)});
    begin_ = end_ = nullptr;
  }

  Pen* const pen_;
  const char* begin_ = nullptr;  // of lines that are not written yet
  const char* end_ = nullptr;
};

// Bytes that the fields take when written: name, ": ", value, CRLF.
size_t FieldBytes(const HeaderList& headers) {
  size_t bytes = 0;
  for (const HeaderField& field : headers) bytes += field.name.size() + field.value.size() + 4;
  return bytes;
}

// Fields that are written by the proxy itself or that it lives by: naming them in Connection has no effect.
bool IsProtected(HeaderId id) {
  return id == HeaderId::kHost || id == HeaderId::kContentLength || id == HeaderId::kTransferEncoding ||
         id == HeaderId::kDate || id == HeaderId::kXRequestId;
}

bool ListedInConnection(const HeaderList& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(), [&](const HeaderField& field) {
    return field.id == HeaderId::kConnection && ListHasToken(field.value, name);
  });
}

// Connection values that name no other field, which is nearly always.
bool IsPlainOption(std::string_view value) {
  return EqualsIgnoreCase(value, "keep-alive") || EqualsIgnoreCase(value, "close");
}

void PutFraming(const Framing& framing, Pen* pen) {
  if (framing.kind == BodyKind::kChunked) {
    pen->Put("Transfer-Encoding: chunked\r\n");
  } else if (framing.kind == BodyKind::kLength) {
    pen->Put("Content-Length: ");
    pen->Number(framing.content_length);
    pen->Put("\r\n");
  }
}

// The same fields by names that only look different to a backend behind CGI or WSGI, and framing that is none.
bool IsReplacedVariable(std::string_view name, bool peer_trusted, const ForwardedConfig& settings) {
  if (name.find('_') == std::string_view::npos) return false;
  if (SameVariable(name, "content-length") || SameVariable(name, "transfer-encoding")) return true;
  if (SameVariable(name, "x-request-id")) return settings.x_request_id;
  if (!settings.x_forwarded && peer_trusted) return false;
  return SameVariable(name, "x-forwarded-for") || SameVariable(name, "x-forwarded-host") ||
         SameVariable(name, "x-forwarded-proto") || SameVariable(name, "x-real-ip");
}

// X-Forwarded-Port, -Prefix, -Ssl and whatever else programs build addresses from.
bool IsForwardedClaim(std::string_view name) {
  constexpr std::string_view kPrefix = "x-forwarded-";
  return name.size() > kPrefix.size() && (name[0] | 0x20) == 'x' && SameVariable(name.substr(0, kPrefix.size()), kPrefix);
}

// Fields of a request that the proxy replaces by its own, or that nobody but a trusted peer may send.
bool IsReplaced(const HeaderField& field, bool peer_trusted, const ForwardedConfig& settings) {
  switch (field.id) {
    case HeaderId::kHost:
    case HeaderId::kContentLength:
    case HeaderId::kForwarded:  // nothing here extends it, and a stale one would mislead whoever prefers RFC 7239
      return true;
    case HeaderId::kXForwardedFor:
    case HeaderId::kXForwardedHost:
    case HeaderId::kXForwardedProto:
    case HeaderId::kXRealIp:
      return settings.x_forwarded || !peer_trusted;
    case HeaderId::kXRequestId:
      return settings.x_request_id;
    default:
      if (!peer_trusted && IsForwardedClaim(field.name)) return true;
      return IsReplacedVariable(field.name, peer_trusted, settings) ||
             (settings.client_certificates && !peer_trusted && IsClientCertificateField(field.name));
  }
}

// X-Forwarded-For, -Proto, -Host and X-Real-IP. What a trusted peer said of them stays, as far as it makes sense.
void PutForwarded(const HeaderList& headers, const ClientInfo& peer, const ClientAddress& client, std::string_view host,
                  Pen* pen) {
  std::array<char, PeerAddress::kMaxText> text;
  std::string_view proto = peer.tls ? "https" : "http";
  pen->Put("X-Forwarded-For: ");
  if (client.peer_trusted) {
    for (const HeaderField& field : headers) {
      if (field.value.empty()) continue;
      if (field.id == HeaderId::kXForwardedFor) {
        pen->Put(field.value);
        pen->Put(", ");
      } else if (field.id == HeaderId::kXForwardedHost && IsValidAuthority(field.value)) {
        host = field.value;
      } else if (field.id == HeaderId::kXForwardedProto &&
                 (EqualsIgnoreCase(field.value, "http") || EqualsIgnoreCase(field.value, "https"))) {
        proto = field.value;
      }
    }
  }
  pen->Put(peer.peer.Text(&text));
  pen->Put("\r\n");
  pen->Field("X-Real-IP", client.address.Text(&text));
  pen->Field("X-Forwarded-Proto", proto);
  pen->Field("X-Forwarded-Host", host);
}

// RFC 9110 section 7.6.3: the version in which the message came, and who passes it on (a name, no version of ours). A line of its
// own behind those that are there is the same as one more element.
void PutVia(uint8_t minor_version, Pen* pen) {
  pen->Field("Via", ViaElement(minor_version));
}

constexpr size_t kOwnFieldsBytes = 512;  // names and fixed values of every field that the proxy adds

}  // namespace

std::string_view ViaElement(uint8_t minor_version) {
  if (minor_version == kHttp2Version) return "2.0 ultrabalancer";
  return minor_version == 0 ? "1.0 ultrabalancer" : "1.1 ultrabalancer";
}

bool IsHopByHop(const HeaderField& field) {
  switch (field.id) {
    case HeaderId::kConnection:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kTe:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade:
    case HeaderId::kHttp2Settings:
      return true;
    default:
      return false;
  }
}

void RemoveHopByHop(HeaderList* headers, bool keep_upgrade) {
  const bool listed = std::any_of(headers->begin(), headers->end(), [](const HeaderField& field) {
    return field.id == HeaderId::kConnection && !IsPlainOption(field.value);
  });
  if (listed) {
    std::erase_if(*headers, [headers](const HeaderField& field) {
      return !IsProtected(field.id) && !IsHopByHop(field) && ListedInConnection(*headers, field.name);
    });
  }
  std::erase_if(*headers, [keep_upgrade](const HeaderField& field) {
    return IsHopByHop(field) && !(keep_upgrade && field.id == HeaderId::kUpgrade);
  });
}

namespace {

// Where it is a number at all.
std::optional<uint64_t> MaxForwards(const RequestHead& head, const HeaderField& field) {
  if (head.method != Method::kOptions || !EqualsIgnoreCase(field.name, "Max-Forwards")) return std::nullopt;
  return ParseUnsigned(field.value);
}

}  // namespace

bool EndsHere(const RequestHead& head) {
  return std::any_of(head.headers.begin(), head.headers.end(),
                     [&](const HeaderField& field) { return MaxForwards(head, field) == 0u; });
}

void WriteForwardedRequest(RequestHead* head, const ClientInfo& peer, const ClientAddress& client,
                           const ForwardedConfig& settings, std::string_view request_id, std::string_view fallback_host,
                           Buffer* out) {
  RemoveHopByHop(&head->headers, head->upgrade);
  const std::string_view host = head->authority.empty() ? fallback_host : head->authority;
  // Who showed a certificate to us is nobody's proxy as far as certificates go.
  const std::string_view certificate =
      peer.certificate_fields == nullptr ? std::string_view() : std::string_view(*peer.certificate_fields);
  const size_t room = head->method_text.size() + head->target.size() + FieldBytes(head->headers) + 2 * host.size() +
                      request_id.size() + certificate.size() + kOwnFieldsBytes;
  Pen pen(out->Reserve(room));
  pen.Put(head->method_text);
  pen.Put(" ");
  pen.Put(head->target);
  pen.Put(" HTTP/1.1\r\n");
  pen.Field("Host", host);
  {
    FieldCopier copier(&pen);
    for (const HeaderField& field : head->headers) {
      if (IsReplaced(field, client.peer_trusted, settings)) continue;
      if (!certificate.empty() && IsClientCertificateField(field.name)) continue;
      if (const auto left = MaxForwards(*head, field)) {
        copier.PutNumber(field.name, *left - 1);
        continue;
      }
      copier.Put(field);
    }
  }
  pen.Put(certificate);
  if (settings.x_forwarded) PutForwarded(head->headers, peer, client, host, &pen);
  if (settings.x_request_id) pen.Field("X-Request-ID", request_id);
  if (settings.via) PutVia(head->minor_version, &pen);
  if (head->upgrade) pen.Field("Connection", "upgrade");
  PutFraming({head->body, head->content_length}, &pen);
  pen.Put("\r\n");
  out->Commit(pen.written());
}

bool CameSecure(const ClientInfo& peer, const ClientAddress& client, const HeaderList& headers) {
  if (peer.tls || !client.peer_trusted) return peer.tls;
  return std::any_of(headers.begin(), headers.end(), [](const HeaderField& field) {
    return field.id == HeaderId::kXForwardedProto && EqualsIgnoreCase(field.value, "https");
  });
}

void WriteForwardedResponse(ResponseHead* head, const Framing& framing, ConnectionOption connection,
                            std::string_view request_id, bool via, Buffer* out, std::string_view hsts) {
  RemoveHopByHop(&head->headers, connection == ConnectionOption::kUpgrade);
  Pen pen(out->Reserve(head->reason.size() + FieldBytes(head->headers) + request_id.size() + hsts.size() +
                       kOwnFieldsBytes));
  pen.Put("HTTP/1.1 ");
  pen.Number(head->status);
  pen.Put(" ");
  pen.Put(head->reason);
  pen.Put("\r\n");
  {
    FieldCopier copier(&pen);
    for (const HeaderField& field : head->headers) {
      if (field.id == HeaderId::kContentLength) continue;
      if (field.id == HeaderId::kXRequestId && !request_id.empty()) continue;
      if (!hsts.empty() && EqualsIgnoreCase(field.name, "Strict-Transport-Security")) continue;
      copier.Put(field);
    }
  }
  if (!request_id.empty()) pen.Field("X-Request-ID", request_id);
  pen.Put(hsts);
  if (via) PutVia(head->minor_version, &pen);
  PutFraming(framing, &pen);
  if (connection == ConnectionOption::kClose) pen.Put("Connection: close\r\n");
  if (connection == ConnectionOption::kKeepAlive) pen.Put("Connection: keep-alive\r\n");
  if (connection == ConnectionOption::kUpgrade) pen.Put("Connection: upgrade\r\n");
  pen.Put("\r\n");
  out->Commit(pen.written());
}

bool SwitchesTo(const HeaderList& answer, std::string_view offered) {
  bool named = false;
  for (const HeaderField& field : answer) {
    if (field.id != HeaderId::kUpgrade) continue;
    std::string_view list = field.value;
    for (size_t comma = 0; comma != std::string_view::npos; list.remove_prefix(comma + 1)) {
      comma = list.find(',');
      const std::string_view protocol = TrimBlanks(list.substr(0, comma));
      if (!protocol.empty() && !ListHasToken(offered, protocol)) return false;
      named = named || !protocol.empty();
      if (comma == std::string_view::npos) break;
    }
  }
  return named;
}

}  // namespace ub
