#include "http/client_certificate.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/headers.h"

namespace ub {
namespace {

constexpr std::string_view kNames[] = {"client-cert", "client-cert-chain", "x-client-verify", "x-client-subject",
                                       "x-client-fingerprint"};

}  // namespace

std::string ClientCertificateFields(const PeerCertificate& certificate) {
  if (certificate.fingerprint.empty()) return "X-Client-Verify: NONE\r\n";
  std::string out = fmt::format("X-Client-Verify: SUCCESS\r\nX-Client-Fingerprint: {}\r\nClient-Cert: :{}:\r\n",
                                certificate.fingerprint, certificate.der_base64);
  const bool clean = std::ranges::all_of(certificate.subject, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (clean && certificate.subject.size() <= 1024) out += fmt::format("X-Client-Subject: {}\r\n", certificate.subject);
  return out;
}

bool IsClientCertificateField(std::string_view name) {
  return std::ranges::any_of(kNames, [name](std::string_view known) { return SameVariable(name, known); });
}

}  // namespace ub
