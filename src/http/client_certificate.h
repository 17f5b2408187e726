// What backends are told of the certificate that a client showed: fields that nobody else can have written.
//
// Made once a connection; the fields are then part of each request's head. Worker process.
#ifndef UB_HTTP_CLIENT_CERTIFICATE_H_
#define UB_HTTP_CLIENT_CERTIFICATE_H_

#include <string>
#include <string_view>

#include "event/transport.h"

namespace ub {

// Header lines, each with its CRLF: Client-Cert (RFC 9440), X-Client-Subject, X-Client-Fingerprint and X-Client-Verify,
// which says SUCCESS or, alone, NONE. A certificate whose subject could break out of its line is told without it.
std::string ClientCertificateFields(const PeerCertificate& certificate);

// A field of that kind, also as those may read it who make a variable of it, where "-" and "_" are the same.
bool IsClientCertificateField(std::string_view name);

}  // namespace ub

#endif  // UB_HTTP_CLIENT_CERTIFICATE_H_
