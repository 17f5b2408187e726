#include "http/grpc.h"

#include "http/char_class.h"

namespace ub {
namespace {

constexpr std::string_view kContentType = "application/grpc";
constexpr size_t kMaxDigits = 8;

uint64_t UnitNs(char unit) {
  switch (unit) {
    case 'H': return 3600'000'000'000;
    case 'M': return 60'000'000'000;
    case 'S': return 1'000'000'000;
    case 'm': return 1'000'000;
    case 'u': return 1'000;
    case 'n': return 1;
    default: return 0;
  }
}

}  // namespace

bool IsGrpc(std::string_view content_type) {
  if (!EqualsIgnoreCase(content_type.substr(0, kContentType.size()), kContentType)) return false;
  const std::string_view rest = content_type.substr(kContentType.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';' || IsBlank(rest[0]);
}

uint32_t GrpcStatusOf(uint16_t http_status) {
  switch (http_status) {
    case 408:
    case 504: return 4;
    case 403: return 7;
    case 413:
    case 429:
    case 431: return 8;
    case 404:
    case 405:
    case 501: return 12;
    case 400:
    case 500: return 13;
    case 502:
    case 503: return 14;
    default: return 2;
  }
}

std::optional<uint64_t> GrpcTimeoutNs(const HeaderList& headers) {
  const HeaderField* field = FindHeader(headers, "grpc-timeout");
  if (field == nullptr || field->value.size() < 2 || field->value.size() > kMaxDigits + 1) return std::nullopt;
  uint64_t value = 0;
  for (const char c : field->value.substr(0, field->value.size() - 1)) {
    if (!IsChar(c, kCharDigit)) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t unit = UnitNs(field->value.back());
  if (unit == 0) return std::nullopt;
  return value > UINT64_MAX / unit ? UINT64_MAX : value * unit;
}

}  // namespace ub
