// Any bytes as a response head: the verdict must not depend on how they are cut, and an accepted
// head must keep what its parser promises.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/http1_parser.h"

namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void CheckHead(const ub::ResponseHead& head, std::string_view bytes, ub::Method request) {
  Require(head.bytes <= bytes.size() && bytes.substr(0, head.bytes).ends_with("\r\n\r\n"));
  Require(head.status >= 100 && head.status <= 599 && head.minor_version <= 1);
  Require(head.reason.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  const bool bodiless =
      head.status < 200 || head.status == 204 || head.status == 304 || request == ub::Method::kHead;
  Require(!bodiless || head.body == ub::BodyKind::kNone);
  Require(head.body != ub::BodyKind::kNone || bodiless || request == ub::Method::kConnect);
  Require(head.body != ub::BodyKind::kUntilClose || !head.keep_alive);
  Require(head.body != ub::BodyKind::kLength || head.has_content_length);
  Require(head.body != ub::BodyKind::kChunked || !head.has_content_length);
  for (const ub::HeaderField& field : head.headers) {
    Require(ub::IsToken(field.name));
    Require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) {
    return 0;
  }
  // The first byte says how far apart the cuts are and what was asked.
  constexpr ub::Method kMethods[] = {ub::Method::kGet, ub::Method::kHead, ub::Method::kPost,
                                     ub::Method::kConnect};
  const size_t step = 1 + data[0] % 16;
  const ub::Method request = kMethods[data[0] >> 6];
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  ub::ParseLimits limits;
  limits.header_bytes = 2048;
  limits.headers = 12;

  ub::HeadCursor cursor;
  ub::ResponseHead head;
  const ub::ParseOutcome whole = ub::ParseResponseHead(bytes, cursor, limits, request, &head);
  if (whole.verdict == ub::ParseVerdict::kComplete) {
    CheckHead(head, bytes, request);
  }
  Require(whole.verdict != ub::ParseVerdict::kBad || whole.status == 502);

  ub::HeadCursor pieces;
  ub::ResponseHead cut_head;
  ub::ParseOutcome cut;
  for (size_t end = step; cut.verdict == ub::ParseVerdict::kIncomplete; end += step) {
    const std::string moved(bytes.substr(0, end));
    cut = ub::ParseResponseHead(moved, pieces, limits, request, &cut_head);
    if (end >= bytes.size()) {
      break;
    }
  }
  Require(cut.verdict == whole.verdict && cut.status == whole.status);
  Require(std::string_view(cut.reason) == whole.reason);
  if (whole.verdict == ub::ParseVerdict::kComplete) {
    Require(cut_head.bytes == head.bytes && cut_head.body == head.body);
    Require(cut_head.content_length == head.content_length && cut_head.status == head.status);
    Require(cut_head.keep_alive == head.keep_alive);
    Require(cut_head.headers.size() == head.headers.size());
  }
  return 0;
}
