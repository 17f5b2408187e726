// Requests over HTTP/2 and what is to become of each: for the unit that judges them, and for the whole program.
#ifndef UB_UNIT_HTTP_HTTP2_REQUEST_CASES_H_
#define UB_UNIT_HTTP_HTTP2_REQUEST_CASES_H_

#include <string_view>
#include <utility>
#include <vector>

namespace ub {

using Http2CaseField = std::pair<std::string_view, std::string_view>;

struct Http2Case {
  const char* name;
  std::vector<Http2CaseField> fields;
  std::string_view verdict;  // the status of a refusal, or what the backend's request comes to
  const char* source;
  bool end = true;           // no body follows
};

inline constexpr Http2CaseField kGet = {":method", "GET"}, kPost = {":method", "POST"}, kHttp = {":scheme", "http"},
                                kHost = {":authority", "a.example"}, kRoot = {":path", "/"};

inline const std::vector<Http2Case>& Http2Cases() {
  using std::string_view_literals::operator""sv;
  static const std::vector<Http2Case> cases = {
#include "http2_request_cases.inc"
  };
  return cases;
}

}  // namespace ub

#endif  // UB_UNIT_HTTP_HTTP2_REQUEST_CASES_H_
